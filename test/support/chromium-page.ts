/** One page in headless Chromium, driven over its DevTools protocol. Where there is no Chromium `findChromium` says so. */
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

export class ChromiumPage {
  /** Every address that the page has asked for. */
  readonly requested: string[] = [];
  /** What the console said. */
  readonly said: string[] = [];
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;
  #sessionId: string | undefined;

  private constructor(
    private readonly child: ChildProcess,
    private readonly home: string,
    private readonly socket: WebSocket,
  ) {
    socket.on('message', (data: Buffer) => this.#hear(JSON.parse(data.toString()) as Answer));
  }

  static async open(program: string, size: { readonly width: number; readonly height: number }): Promise<ChromiumPage> {
    const home = mkdtempSync(join(tmpdir(), 'opitios-chromium-'));
    const child = spawn(
      program,
      [
        ...['--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0', '--disable-dev-shm-usage'],
        ...['--no-first-run', '--disable-background-networking', `--user-data-dir=${home}`, 'about:blank'],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const url = await new Promise<string>((resolve, reject) => {
      child.once('exit', () => reject(new TypeError('Chromium ended')));
      createInterface({ input: child.stderr }).on('line', (line) => {
        const found = /^DevTools listening on (ws:.*)$/.exec(line)?.[1];
        if (found !== undefined) resolve(found);
      });
    });
    const socket = new WebSocket(url);
    await new Promise((resolve) => socket.once('open', resolve));
    const page = new ChromiumPage(child, home, socket);
    const { targetId } = await page.#send('Target.createTarget', { url: 'about:blank' });
    page.#sessionId = (await page.#send('Target.attachToTarget', { targetId, flatten: true }))['sessionId'] as string;
    await page.#send('Network.enable');
    await page.#send('Page.enable');
    await page.#send('Runtime.enable');
    await page.#send('Emulation.setDeviceMetricsOverride', { ...size, deviceScaleFactor: 1, mobile: false });
    return page;
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

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.socket.terminate();
    this.child.kill('SIGKILL');
    await ended;
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }

  #send(method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        if (error === undefined) resolve(result ?? {});
        else reject(new TypeError(`${method}: ${error.message}`));
      });
      const session = this.#sessionId === undefined ? {} : { sessionId: this.#sessionId };
      this.socket.send(JSON.stringify({ id, method, params, ...session }));
    });
  }

  #hear(answer: Answer): void {
    if (answer.method === 'Network.requestWillBeSent') this.requested.push(answer.params?.request?.url ?? '');
    if (answer.method === 'Runtime.consoleAPICalled' || answer.method === 'Runtime.exceptionThrown')
      this.said.push(JSON.stringify(answer.params));
    if (answer.id === undefined) return;
    this.#waiting.get(answer.id)?.(answer);
    this.#waiting.delete(answer.id);
  }
}
