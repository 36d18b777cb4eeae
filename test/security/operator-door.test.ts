/** The operator's door off loopback and on a Unix socket, as the command line and others meet it. */
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { get, request } from 'node:http';
import { Agent, request as secureRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasOpenssl, makeCertificate } from '../support/certificates.js';
import { freePort } from '../support/free-port.js';
import { restartGateway, startGateway, type GatewayOptions, type GatewayProcess } from '../support/gateway-process.js';

const directory = mkdtempSync(join(tmpdir(), 'opitios-door-'));
let gateway: GatewayProcess | undefined;
afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function started(options: GatewayOptions): Promise<GatewayProcess> {
  gateway = await startGateway({ accounts: 2, workers: 1, ...options });
  return gateway;
}

function opitios(config: string, ...args: readonly string[]): { readonly status: number | null; readonly out: string } {
  const program = new URL('../../dist/cli/main.js', import.meta.url).pathname;
  const done = spawnSync(process.execPath, [program, ...args, '--config', config], { encoding: 'utf8' });
  return { status: done.status, out: done.stdout + done.stderr };
}

(hasOpenssl ? test : test.skip)(
  'off loopback the operator’s door speaks HTTPS, opens live and ready only, and the commands know their own gateway',
  async () => {
    const [one, other] = ['one', 'other'].map((name) => {
      const files = { certFile: join(directory, `${name}.crt`), keyFile: join(directory, `${name}.key`) };
      makeCertificate({ name, ...files });
      return { cert_file: files.certFile, key_file: files.keyFile };
    });
    const port = await freePort();
    const { configFile, ...own } = await started({
      config: { admin: { host: '0.0.0.0', port, tls: one } },
    });
    const agent = new Agent({ rejectUnauthorized: false });
    const ask = (path: string, authorization = ''): Promise<number> =>
      new Promise((resolve, reject) => {
        const options = { agent, headers: { ...(authorization === '' ? {} : { authorization }) } };
        secureRequest(`https://127.0.0.1:${port}${path}`, options, (response) => {
          response.resume().once('end', () => resolve(response.statusCode ?? 0));
        })
          .once('error', reject)
          .end();
      });
    const bare = `Bearer ${await own.token({ permissions: [], accounts: [] })}`;

    expect(await ask('/health/live')).toBe(200);
    expect(await ask('/health/ready')).toBe(200);
    expect([await ask('/metrics'), await ask('/metrics', bare)]).toEqual([401, 200]);
    expect([await ask('/pool'), await ask('/pool', bare)]).toEqual([401, 403]);
    await expect(fetch(`http://127.0.0.1:${port}/health/live`)).rejects.toThrow();
    expect(opitios(configFile, 'status', '--json')).toMatchObject({
      status: 0,
      out: expect.stringContaining('"workers"'),
    });
    own.rewriteConfig((config) => (config['admin'] = { host: '0.0.0.0', port, tls: other }));
    expect(opitios(configFile, 'status')).toMatchObject({
      status: 1,
      out: expect.stringContaining('another certificate'),
    });
    agent.destroy();
  },
  60_000,
);

test('on a Unix socket the commands work, nobody else may connect, and what a killed gateway left is replaced', async () => {
  const socket = join(directory, 'admin.sock');
  const running = await started({ config: { admin: { socket } } });
  const { configFile } = running;

  expect(statSync(socket).mode & 0o777).toBe(0o600);
  for (const command of [['status'], ['halt', '--reason', 'a drill'], ['resume'], ['reload']])
    expect([command, opitios(configFile, ...command).status]).toEqual([command, 0]);
  const metrics = await new Promise<number>((resolve, reject) => {
    get({ socketPath: socket, path: '/metrics' }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).once('error', reject);
  });
  expect(metrics).toBe(200);

  const misspelt = await postTo(socket, '/admin/halt', '{"stat":"REDUCING"}', await running.token());
  expect(misspelt).toBe(400);
  const ended = new Promise((resolve) => running.primary.once('exit', resolve));
  running.primary.kill('SIGKILL');
  await ended;
  expect(statSync(socket).isSocket()).toBe(true);
  const again = await restartGateway(running);
  try {
    expect(opitios(configFile, 'status').status).toBe(0);
  } finally {
    await again.stop();
  }
}, 60_000);

function postTo(socketPath: string, path: string, body: string, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    request({ socketPath, path, method: 'POST', headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .once('error', reject)
      .end(body);
  });
}
