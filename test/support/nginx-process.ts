/** Debian's nginx with the shipped configuration (deploy/nginx), without TLS, in front of a port. Needs nginx installed. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

export async function startNginx(upstreamPort: number): Promise<NginxProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'opitios-nginx-'));
  const port = await freePort();
  const file = join(directory, 'nginx.conf');
  writeFileSync(file, configuration(directory, port, upstreamPort));
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

/** What is shipped, with plain HTTP on our port: only the TLS lines and the log's place go. */
function configuration(directory: string, port: number, upstreamPort: number): string {
  const name = readdirSync(SHIPPED).find((one) => one.endsWith('.conf')) ?? '';
  const shipped = readFileSync(join(SHIPPED, name), 'utf8')
    .replace('127.0.0.1:8090', `127.0.0.1:${upstreamPort}`)
    .replace('listen 443 ssl http2;', `listen 127.0.0.1:${port};`)
    .replace(/^\s*ssl_.*$/gm, '')
    .replace(/^\s*access_log .*$/gm, '  access_log off;');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${directory}/${kind};`)
    .join('\n');
  const user = process.getuid?.() === 0 ? 'user root root;' : '';
  return `${user}
daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error.log;
events { worker_connections 256; }
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
