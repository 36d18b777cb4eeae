/**
 * Forks workers with node:cluster under SCHED_NONE (docs/decisions/0005): workers share the listening socket itself, so a
 * killed worker takes no connection with it that the primary had handed over. Where `setpriv` is installed the kernel
 * kills a worker together with the primary, even when both are stalled.
 */
import cluster, { type Worker } from 'node:cluster';
import { spawnSync } from 'node:child_process';

export interface ForkOptions {
  /** Path of the built workers/main.js. */
  readonly entry: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export class Forker {
  readonly #setpriv: string | undefined;

  constructor(private readonly options: ForkOptions) {
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    const tried = spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true'], { stdio: 'ignore' });
    this.#setpriv = tried.status === 0 ? 'setpriv' : undefined;
  }

  fork(): Worker {
    const node = process.execPath;
    cluster.setupPrimary({
      exec: this.options.entry,
      args: [],
      serialization: 'advanced',
      execArgv: this.#setpriv === undefined ? [] : ['--pdeathsig', 'KILL', node],
    });
    // node:cluster offers no other way to name the program: it reads execPath while it forks.
    if (this.#setpriv !== undefined) process.execPath = this.#setpriv;
    try {
      return cluster.fork({ ...this.options.environment });
    } finally {
      process.execPath = node;
    }
  }

  get diesWithPrimary(): boolean {
    return this.#setpriv !== undefined;
  }
}
