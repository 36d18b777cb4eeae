/** PM2 with a daemon and a home of its own, running the shipped ecosystem file on a gateway's configuration. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = new URL('../../', import.meta.url).pathname;

export class Pm2 {
  /** Its own files: pids, logs, what it has dumped. */
  readonly home = mkdtempSync(join(tmpdir(), 'opitios-pm2-'));

  constructor(
    private readonly configFile: string,
    /** Of its daemon too. */
    private readonly environment: Readonly<Record<string, string>> = {},
  ) {}

  /** Returns when the primary has said that it is ready. */
  async start(): Promise<void> {
    await this.run('start', join(root, 'ecosystem.config.js'));
  }

  /** Of the primary as PM2 knows it; 0 while it is down. */
  async pid(): Promise<number> {
    return Number((await this.run('pid', 'opitios')).trim());
  }

  async run(...args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'node_modules/pm2/bin/pm2'), ...args], {
      cwd: root,
      env: { ...process.env, ...this.environment, PM2_HOME: this.home, OPITIOS_CONFIG: this.configFile },
    });
    return stdout;
  }

  async close(): Promise<void> {
    await this.run('kill').catch(() => undefined);
    rmSync(this.home, { recursive: true, force: true });
  }
}
