/** A real Prometheus on a directory of its own, scraping one target every second. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './gateway-process.js';

export function hasPrometheus(): boolean {
  return spawnSync('prometheus', ['--version'], { stdio: 'ignore' }).status === 0;
}

export class PrometheusProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly dir: string,
    private readonly url: string,
  ) {}

  /** @param target host and port of the operator's door */
  static async start(target: string, port: number): Promise<PrometheusProcess> {
    const dir = mkdtempSync(join(tmpdir(), 'opitios-prometheus-'));
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [{ job_name: 'opitios', static_configs: [{ targets: [target] }] }],
    };
    // JSON is YAML.
    writeFileSync(join(dir, 'prometheus.yml'), JSON.stringify(config));
    const listen = `127.0.0.1:${port}`;
    const child = spawn(
      'prometheus',
      [
        ...[`--config.file=${join(dir, 'prometheus.yml')}`, `--storage.tsdb.path=${join(dir, 'data')}`],
        ...[`--web.listen-address=${listen}`, '--log.level=error'],
      ],
      { stdio: 'ignore' },
    );
    const prometheus = new PrometheusProcess(child, dir, `http://${listen}`);
    await eventually(async () => (await prometheus.value('up').catch(() => undefined)) === 1, 'the first scrape');
    return prometheus;
  }

  /** The one value of an instant query; undefined when there is none. */
  async value(query: string): Promise<number | undefined> {
    const response = await fetch(`${this.url}/api/v1/query?query=${encodeURIComponent(query)}`);
    const { data } = (await response.json()) as {
      data: { result: readonly { readonly value: readonly [number, string] }[] };
    };
    const text = data.result[0]?.value[1];
    return text === undefined ? undefined : Number(text);
  }

  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = new Promise((resolve) => this.child.once('exit', resolve));
      this.child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}
