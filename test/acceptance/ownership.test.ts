/** A thousand accounts over several workers: each answers as itself through every one of them. */
import { afterEach, expect, test } from '@jest/globals';
import { startGateway, type GatewayProcess } from '../support/gateway-process.js';
import { KeepAliveClients } from '../support/keep-alive-clients.js';

let gateway: GatewayProcess | undefined;
const keepAlive = new KeepAliveClients();
afterEach(async () => {
  await keepAlive.close();
  await gateway?.stop();
}, 60_000);

test.each([2, 4])(
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
