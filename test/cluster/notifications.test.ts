import { afterEach, expect, test } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually, startGateway, type GatewayProcess } from '../support/gateway-process.js';

let gateway: GatewayProcess | undefined;
let receiver: Server | undefined;
afterEach(async () => {
  await gateway?.stop();
  receiver?.closeAllConnections();
  receiver?.close();
}, 60_000);

interface Heard {
  readonly path: string;
  readonly body: {
    readonly event?: string;
    readonly condition?: string;
    readonly text?: string;
    readonly alerts?: readonly { readonly subject: string }[];
  };
}

async function aReceiver(heard: Heard[]): Promise<string> {
  receiver = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      heard.push({ path: req.url ?? '', body: JSON.parse(Buffer.concat(chunks).toString()) as Heard['body'] });
      res.writeHead(204).end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => receiver?.once('listening', resolve));
  return `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
}

test('a failed account is told to every webhook in its shape, once, and so is its recovery', async () => {
  const heard: Heard[] = [];
  const url = await aReceiver(heard);
  let goodKey = '';
  gateway = await startGateway({
    accounts: 3,
    config: { telemetry: { webhooks: [{ url: `${url}/json` }, { url: `${url}/slack`, shape: 'slack' }] } },
    editAccounts: ([first]) => {
      if (first === undefined) return;
      goodKey = first.secret_key;
      first.secret_key = 'wrong';
    },
  });
  const [failed = ''] = gateway.accountIds;
  await eventually(() => heard.length >= 2, 'both webhooks are told');
  expect(heard.find(({ path }) => path === '/json')?.body).toMatchObject({
    event: 'firing',
    condition: 'account-failed',
    alerts: [{ subject: failed }],
  });
  expect(heard.find(({ path }) => path === '/slack')?.body.text).toMatch(/^FIRING account-failed .*\n• account_001: /);

  gateway.rewriteConfig((config) => {
    const [account] = config['trading_accounts'] as { secret_key: string }[];
    if (account !== undefined) account.secret_key = goodKey;
  });
  await eventually(() => heard.some(({ body }) => body.event === 'resolved'), 'the recovery is told');
  expect(heard.filter(({ path }) => path === '/json').map(({ body }) => body.event)).toEqual(['firing', 'resolved']);
  expect(gateway.output()).not.toContain(`${url}/json`);
}, 90_000);
