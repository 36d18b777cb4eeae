/** A program of ours run as a child: its output goes to a file, its end is awaited, and it is never left behind. */
import { fork, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const STOP_DEADLINE_MS = 20_000;

function diesWithParent(): boolean {
  return spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true'], { stdio: 'ignore' }).status === 0;
}

export class Program {
  readonly #child: ChildProcess;
  /** Resolves with how it ended, in words; never rejects. */
  readonly ended: Promise<string>;

  /** @param module relative to the built program's root: `simulator/main.js`. */
  constructor(
    module: string,
    args: readonly string[],
    readonly outputFile: string,
  ) {
    const output = openSync(outputFile, 'a', 0o600);
    const path = fileURLToPath(new URL(`../${module}`, import.meta.url));
    // In a group of its own: Ctrl-C reaches only us, and we stop things in their order. Killed ourselves, we stop nothing:
    // then the kernel does, where setpriv is installed, and the program itself when the channel to us closes.
    const how = diesWithParent()
      ? { execPath: 'setpriv', execArgv: ['--pdeathsig', 'KILL', process.execPath] }
      : { execArgv: [] };
    this.#child = fork(path, [...args, '--end-with-parent'], {
      stdio: ['ignore', output, output, 'ipc'],
      detached: true,
      ...how,
    });
    closeSync(output);
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(signal === null ? `exit ${String(code)}` : signal));
    });
  }

  /** Resolves when it sends this message. */
  async says(message: string): Promise<void> {
    for (;;) {
      const [said] = (await once(this.#child, 'message')) as [unknown];
      if (said === message) return;
    }
  }

  /** SIGTERM, and SIGKILL to its whole group when that is not enough. Twice is harmless. */
  async stop(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => {
      process.kill(-pid, 'SIGKILL');
    }, STOP_DEADLINE_MS);
    await this.ended;
    clearTimeout(timer);
  }
}
