import { afterEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, startGateway, type GatewayProcess } from '../support/gateway-process.js';

let gateway: GatewayProcess | undefined;
afterEach(() => gateway?.stop(), 60_000);

async function verify(running: GatewayProcess): Promise<{ readonly code: unknown; readonly said: string }> {
  const program = new URL('../../dist/cli/main.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, 'audit', 'verify', '--config', running.configFile]);
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => said.push(String(chunk)));
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, said: said.join('') };
}

test('the audit trail verifies while the gateway runs, is signed whole when it stops, and names an edited record', async () => {
  gateway = await startGateway({ accounts: 2, workers: 2 });
  const [accountId = ''] = gateway.accountIds;
  const body = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
  expect((await gateway.post(`/accounts/${accountId}/orders/stocks`, body)).status).toBe(201);

  const running = await verify(gateway);
  expect([running.code, running.said]).toEqual([0, expect.stringMatching(/\d+ records, [1-9]\d* signed checkpoints/)]);

  const { primary } = gateway;
  primary.kill('SIGTERM');
  await eventually(() => primary.exitCode !== null, 'the gateway has stopped');
  const stopped = await verify(gateway);
  expect([stopped.code, stopped.said]).toEqual([0, expect.stringContaining(' 0 records not yet signed')]);

  const audit = join(gateway.dir, 'data', 'audit');
  const written = readdirSync(audit, { recursive: true }) as string[];
  const segment = written.find((name) => {
    return (
      name.startsWith('worker-') && name.includes('.jsonl') && readFileSync(join(audit, name), 'utf8').includes('AAPL')
    );
  });
  const path = join(audit, segment ?? '');
  writeFileSync(path, readFileSync(path, 'utf8').replace('AAPL', 'MSFT'));
  const edited = await verify(gateway);
  expect([edited.code, edited.said]).toEqual([1, expect.stringContaining(`${segment ?? '?'}:1: `)]);
}, 90_000);
