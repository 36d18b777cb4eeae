import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../support/free-port.js';
import { startGateway, type GatewayProcess } from '../support/gateway-process.js';

const run = promisify(execFile);
let gateway: GatewayProcess;

beforeAll(async () => {
  gateway = await startGateway({ accounts: 2, config: { admin: { host: '127.0.0.1', port: await freePort() } } });
}, 90_000);
afterAll(() => gateway.stop(), 60_000);

async function profile(...args: readonly string[]): Promise<Record<string, unknown>> {
  const file = join(gateway.dir, 'out.profile');
  const program = ['dist/cli/main.js', 'profile', '--config', gateway.configFile, '--output', file];
  await run(process.execPath, [...program, '--seconds', '1', ...args]);
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
}

test('opitios profile writes a CPU profile of the chosen worker that the browser tools can read', async () => {
  const cpu = await profile('--worker', '1');

  expect(Object.keys(cpu).sort()).toEqual(['endTime', 'nodes', 'samples', 'startTime', 'timeDeltas']);
  expect((cpu['samples'] as unknown[]).length).toBeGreaterThan(0);
}, 60_000);

test('opitios profile samples the heap', async () => {
  expect(Object.keys(await profile('--kind', 'heap'))).toEqual(expect.arrayContaining(['head', 'samples']));
}, 60_000);

test('a slot without a worker, a senseless time and a second profile at once are refused, and so is a caller without the permission', async () => {
  const authorization = `Bearer ${await gateway.token()}`;
  const ask = async (body: unknown, token = authorization): Promise<number> =>
    (
      await fetch(`${gateway.adminUrl}/api/v1/admin/profile`, {
        method: 'POST',
        headers: { authorization: token, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    ).status;

  expect(await ask({ worker: 77 })).toBe(404);
  expect(await ask({ seconds: 31 })).toBe(400);
  expect(await ask({ kind: 'disk' })).toBe(400);
  expect(await ask({ seconds: 1 }, `Bearer ${await gateway.token({ permissions: ['read'] })}`)).toBe(403);
  const both = await Promise.all([ask({ worker: 0, seconds: 2 }), ask({ worker: 0, seconds: 2 })]);
  expect(both.sort()).toEqual([200, 409]);
}, 60_000);
