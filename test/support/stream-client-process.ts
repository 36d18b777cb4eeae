/** bench/stream-clients as a child process, told what to do a line at a time. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Received {
  readonly records: number;
  readonly bytes: number;
  readonly frames: number;
  /** Sockets closed so far, by close code. */
  readonly closes: Readonly<Record<string, number>>;
  readonly open: number;
  /** Milliseconds from the record's own timestamp to its receipt. */
  readonly p50: number;
  readonly p99: number;
  /** The same of each second. */
  readonly p99s: readonly number[];
}

export class StreamClientProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(program: string, job: object) {
    const child = spawn(process.execPath, [program, JSON.stringify(job)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Resolves when every client is subscribed. */
  async ready(): Promise<void> {
    await this.#lines.next();
  }

  start(): void {
    this.#child.stdin?.write('start\n');
  }

  async stop(): Promise<Received> {
    this.#child.stdin?.write('stop\n');
    return JSON.parse((await this.#lines.next()).value as string) as Received;
  }

  resume(): void {
    this.#child.stdin?.write('resume\n');
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.write('end\n');
    await ended;
  }
}
