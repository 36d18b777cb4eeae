/** A thousand accounts over several workers: each answers as itself through every one of them. */
import { afterEach, expect, test } from '@jest/globals';
import type { GatewayProcess } from '../support/gateway-process.js';
import { startGateway } from '../support/gateway-under-test.js';
import { KeepAliveClients } from '../support/keep-alive-clients.js';

let gateway: GatewayProcess | undefined;
const keepAlive = new KeepAliveClients();
afterEach(async () => {
  await keepAlive.close();
  await gateway?.stop();
}, 60_000);

const INSTANCES = process.env['OPITIOS_INSTANCES'];

if (INSTANCES !== undefined)
  test('each of 300 accounts answers as itself, and trades, through every instance and through the proxy', async () => {
    gateway = await startGateway({ simulator: ['--rate', '100000'] });
    const running = gateway;
    const { leases } = await running.pool();
    const doors = [running.url, ...(leases?.members ?? []).map(({ url }) => url)];
    expect(doors).toHaveLength(Number(INSTANCES) + 1);
    expect(running.accountIds.length).toBeGreaterThanOrEqual(300);

    const headers = { authorization: `Bearer ${await running.token()}`, 'content-type': 'application/json' };
    const body = JSON.stringify({
      ...{ symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: '1.00' },
    });
    const numbers = new Map<string, unknown>();
    for (const door of doors) {
      for (const id of running.accountIds) {
        const read = await fetch(`${door}/api/v1/accounts/${id}/account`, { headers });
        const { account_number: number } = (await read.json()) as Record<string, unknown>;
        expect([door, id, read.status, numbers.get(id) ?? number]).toEqual([door, id, 200, number]);
        numbers.set(id, number);
        const order = await fetch(`${door}/api/v1/accounts/${id}/orders/stocks`, { method: 'POST', headers, body });
        expect([door, id, order.status, await order.text()]).toEqual([door, id, 201, expect.any(String)]);
      }
    }
    expect(new Set(numbers.values()).size).toBe(running.accountIds.length);
    const placed = await running.simulator.control.orders();
    expect(placed.length).toBe(doors.length * running.accountIds.length);
  }, 170_000);

// How slots are spread over instances is another question than how accounts are spread over workers.
const alone = INSTANCES === undefined ? test : test.skip;

alone.each([2, 4])(
  'over %i workers each of 1000 accounts answers as itself on every connection, and ownership is even',
  async (workers) => {
    gateway = await startGateway({ accounts: 1_000, workers, simulator: ['--rate', '100000'] });
    const running = gateway;
    const { accounts } = await running.pool();
    const owned = Array.from({ length: workers }, (_, slot) => accounts.filter(({ owner }) => owner === slot).length);
    expect(owned.reduce((sum, one) => sum + one)).toBe(1_000);
    expect(Math.max(...owned) - Math.min(...owned)).toBeLessThanOrEqual(1);

    // Enough connections that each worker holds some of them.
    const clients = await keepAlive.of(running, workers * 2);
    const numbers = new Map<string, unknown>();
    await Promise.all(
      clients.map(async (ask) => {
        for (const id of running.accountIds) {
          const { status, text } = await ask(`/accounts/${id}/account`);
          expect([id, status]).toEqual([id, 200]);
          const number = (JSON.parse(text) as Record<string, unknown>)['account_number'];
          expect(numbers.get(id) ?? number).toBe(number);
          numbers.set(id, number);
        }
      }),
    );
    expect(new Set(numbers.values()).size).toBe(1_000);
  },
  400_000,
);
