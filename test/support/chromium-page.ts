/**
 * One page in headless Chromium, driven over its DevTools protocol. Where there is no Chromium `findChromium` says so. Every
 * wait ends: with its deadline, or when the browser goes, and then it says what Chromium said last.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

export function findChromium(): string | undefined {
  return ['chromium', 'chromium-browser', 'google-chrome'].find(
    (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
  );
}

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly request?: { readonly url: string } };
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
  readonly sessionId?: string;
}

/** Wide: on a busy machine a browser takes its time. */
const OPEN_MS = 45_000;
const ANSWER_MS = 30_000;
const END_MS = 10_000;
const ERROR_LINES_MAX = 10;

interface Waiting {
  resolve(result: Readonly<Record<string, unknown>>): void;
  reject(cause: Error): void;
}

export class ChromiumPage {
  /** Every address that the page has asked for. */
  readonly requested: string[] = [];
  /** What the console said. */
  readonly said: string[] = [];
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #sessionId: string | undefined;

  private constructor(
    private readonly child: ChildProcess,
    private readonly home: string,
    private readonly socket: WebSocket,
    private readonly errors: readonly string[],
  ) {
    socket.on('message', (data: Buffer) => this.#hear(JSON.parse(data.toString()) as Answer));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      const cause = new TypeError(`Chromium is gone (${howItEnded(this.child)}):\n${this.errors.join('\n')}`);
      for (const waiting of this.#waiting.values()) waiting.reject(cause);
      this.#waiting.clear();
    });
  }

  static async open(program: string, size: { readonly width: number; readonly height: number }): Promise<ChromiumPage> {
    const home = mkdtempSync(join(tmpdir(), 'opitios-chromium-'));
    const child = spawn(
      program,
      [
        ...['--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0', '--disable-dev-shm-usage'],
        ...['--no-first-run', '--disable-background-networking', `--user-data-dir=${home}`, 'about:blank'],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
    );
    const errors: string[] = [];
    try {
      const url = await within(OPEN_MS, 'Chromium listens', whereItListens(child, errors));
      const socket = new WebSocket(url, { handshakeTimeout: OPEN_MS });
      await new Promise((resolve, reject) => {
        socket.once('open', resolve);
        socket.once('error', reject);
      });
      const page = new ChromiumPage(child, home, socket, errors);
      await page.#attach(size);
      return page;
    } catch (cause) {
      await end(child, home);
      throw cause;
    }
  }

  async goTo(url: string): Promise<void> {
    await this.#send('Page.navigate', { url });
    await this.until('document.readyState === "complete" && location.href !== "about:blank"');
  }

  /** @throws TypeError with what the page threw */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', {
      ...{ expression, returnByValue: true, awaitPromise: true },
    });
    if (exceptionDetails !== undefined) throw new TypeError(JSON.stringify(exceptionDetails));
    return (result as { readonly value: T }).value;
  }

  async until(expression: string, withinMs = 20_000): Promise<void> {
    const end = Date.now() + withinMs;
    while (!(await this.evaluate<boolean>(`Boolean(${expression})`))) {
      if (Date.now() > end) throw new TypeError(`the page never came to: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async screenshot(file: string): Promise<void> {
    const { data } = await this.#send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
    writeFileSync(file, Buffer.from(data as string, 'base64'));
  }

  /** Also when the browser has gone already, and more than once. */
  async close(): Promise<void> {
    this.socket.terminate();
    await end(this.child, this.home);
  }

  async #attach(size: { readonly width: number; readonly height: number }): Promise<void> {
    const { targetId } = await this.#send('Target.createTarget', { url: 'about:blank' });
    this.#sessionId = (await this.#send('Target.attachToTarget', { targetId, flatten: true }))['sessionId'] as string;
    await this.#send('Network.enable');
    await this.#send('Page.enable');
    await this.#send('Runtime.enable');
    await this.#send('Emulation.setDeviceMetricsOverride', { ...size, deviceScaleFactor: 1, mobile: false });
  }

  #send(method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answered = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const session = this.#sessionId === undefined ? {} : { sessionId: this.#sessionId };
      // With its callback a socket that is closed already rejects instead of throwing.
      this.socket.send(JSON.stringify({ id, method, params, ...session }), (cause) => cause && reject(cause));
    });
    return within(ANSWER_MS, `Chromium answers ${method}`, answered);
  }

  #hear(answer: Answer): void {
    if (answer.method === 'Network.requestWillBeSent') this.requested.push(answer.params?.request?.url ?? '');
    if (answer.method === 'Runtime.consoleAPICalled' || answer.method === 'Runtime.exceptionThrown')
      this.said.push(JSON.stringify(answer.params));
    if (answer.id === undefined) return;
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.error === undefined) waiting?.resolve(answer.result ?? {});
    else waiting?.reject(new TypeError(answer.error.message));
  }
}

async function within<T>(ms: number, what: string, act: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TypeError(`did not happen within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([act, late]);
  } finally {
    clearTimeout(timer);
  }
}

function whereItListens(child: ChildProcess, errors: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new TypeError(`Chromium ended (${howItEnded(child)}):\n${errors.join('\n')}`)));
    if (child.stderr === null) return;
    createInterface({ input: child.stderr }).on('line', (line) => {
      errors.push(line);
      if (errors.length > ERROR_LINES_MAX) errors.shift();
      const found = /^DevTools listening on (ws:.*)$/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
  });
}

const howItEnded = ({ exitCode, signalCode }: ChildProcess): string => String(signalCode ?? exitCode ?? 'still runs');

async function end(child: ChildProcess, home: string): Promise<void> {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // The group, not the one process: its children write into the profile for as long as they live.
    process.kill(-child.pid, 'SIGKILL');
    await within(END_MS, 'Chromium ends', ended);
  }
  rmSync(home, { recursive: true, force: true, maxRetries: 20 });
}
