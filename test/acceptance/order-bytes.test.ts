/** What the caller of an order is told is what the broker said, byte for byte: recorded on the wire between the two. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { GatewayProcess } from '../support/gateway-process.js';
import { startGateway } from '../support/gateway-under-test.js';

let gateway: GatewayProcess;
let recorder: Server;
/** Bodies of the broker's answers to POST /v2/orders, in order. */
const answered: Buffer[] = [];

beforeAll(async () => {
  gateway = await startGateway({
    accounts: 2,
    workers: 2,
    editConfig: async (config) => {
      const { endpoints } = config['alpaca'] as { endpoints: Record<string, string> };
      const broker = endpoints['trading_paper'] ?? '';
      recorder = createServer((req, res) => {
        const { method, headers } = req;
        const onward = request(new URL(req.url ?? '/', broker), { method, headers }, (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('end', () => {
            const body = Buffer.concat(chunks);
            if (method === 'POST' && req.url === '/v2/orders') answered.push(body);
            res.writeHead(answer.statusCode ?? 502, answer.headers);
            res.end(body);
          });
        });
        req.pipe(onward);
      });
      await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve));
      endpoints['trading_paper'] = `http://127.0.0.1:${(recorder.address() as AddressInfo).port}`;
    },
  });
}, 90_000);
afterAll(async () => {
  await gateway.stop();
  recorder.closeAllConnections();
  await new Promise((resolve) => recorder.close(resolve));
}, 60_000);

const limit = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '10', time_in_force: 'day' };
const CASES: readonly (readonly [string, Record<string, unknown>])[] = [
  ['a limit order', limit],
  ['an IOC order', { ...limit, time_in_force: 'ioc' }],
  ['a fractional market order', { symbol: 'MSFT', qty: '0.5', side: 'buy', type: 'market', time_in_force: 'day' }],
  [
    'a bracket',
    {
      ...limit,
      order_class: 'bracket',
      take_profit: { limit_price: '20' },
      stop_loss: { stop_price: '5' },
    },
  ],
];

// Twice each, on both accounts: one of them is asked over the mesh.
test.each(CASES)(
  "the answer to %s is the broker's own bytes, and so is its replay",
  async (_name, order) => {
    const authorization = `Bearer ${await gateway.token()}`;
    for (const accountId of gateway.accountIds) {
      const key = `bytes-${accountId}-${Math.random()}`;
      const send = async (): Promise<{ status: number; replayed: string | null; body: Buffer }> => {
        const response = await fetch(`${gateway.url}/api/v1/accounts/${accountId}/orders/stocks`, {
          method: 'POST',
          headers: { authorization, 'content-type': 'application/json', 'idempotency-key': key },
          body: JSON.stringify(order),
        });
        const body = Buffer.from(await response.arrayBuffer());
        return { status: response.status, replayed: response.headers.get('idempotency-replayed'), body };
      };
      answered.length = 0;

      const first = await send();
      const second = await send();

      expect(answered.length).toBe(1);
      expect([first.status, first.replayed]).toEqual([201, 'false']);
      expect(first.body.equals(answered[0] ?? Buffer.alloc(0))).toBe(true);
      expect([second.status, second.replayed]).toEqual([201, 'true']);
      expect(second.body.equals(first.body)).toBe(true);
    }
  },
  30_000,
);
