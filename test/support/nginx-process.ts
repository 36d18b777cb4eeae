/** Debian's nginx with a shipped configuration (deploy/nginx), without TLS, in front of ports. Needs nginx installed. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { eventually } from './gateway-process.js';

const SHIPPED = new URL('../../deploy/nginx/', import.meta.url).pathname;

export interface NginxProcess {
  readonly port: number;
  stop(): Promise<void>;
}

export function hasNginx(): boolean {
  return spawnSync('nginx', ['-v'], { stdio: 'ignore' }).status === 0;
}

/** In front of one gateway, or of several instances: each with the configuration that is shipped for it. */
export async function startNginx(upstream: number | readonly number[]): Promise<NginxProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'opitios-nginx-'));
  const port = await freePort();
  const file = join(directory, 'nginx.conf');
  writeFileSync(file, configuration(directory, port, upstream));
  const child = spawn('nginx', ['-p', directory, '-c', file], { stdio: ['ignore', 'ignore', 'inherit'] });
  await eventually(() => accepts(port), 'nginx accepts connections', 10_000);
  return {
    port,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGQUIT');
        const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
        await once(child, 'exit');
        clearTimeout(timer);
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** What is shipped, with plain HTTP on our port: only the addresses, the TLS lines and the log's place are others. */
function configuration(directory: string, port: number, upstream: number | readonly number[]): string {
  const isOne = typeof upstream === 'number';
  const text = readFileSync(join(SHIPPED, isOne ? 'opitios.conf' : 'opitios-instances.conf'), 'utf8');
  const ports = isOne ? [upstream] : [...upstream];
  const shipped = text
    .replace(/^ *server [\d.]+:8090(.*)$/gm, (_, rest: string) => {
      const own = ports.shift();
      return own === undefined ? '' : `server 127.0.0.1:${own}${rest}`;
    })
    .replace('listen 443 ssl http2;', `listen 127.0.0.1:${port};`)
    .replace(/^\s*ssl_.*$/gm, '')
    .replace(/^\s*access_log .*$/gm, '  access_log off;');
  if (ports.length > 0) throw new TypeError('the shipped configuration has fewer servers');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${directory}/${kind};`)
    .join('\n');
  const user = process.getuid?.() === 0 ? 'user root root;' : '';
  return `${user}
daemon off; worker_processes 1; worker_rlimit_nofile 10000; pid ${directory}/pid; error_log ${directory}/error.log;
events { worker_connections 4096; }
http {
${temporary}
${shipped}
}
`;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
