/**
 * The primary is killed while outcomes are unknown and orders are on their way. Its successor finishes what the journal
 * says: what the broker took is told, what it never took stays unknown, nothing is sent again, new orders are taken.
 */
import { afterEach, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { Switch } from '../../../src/simulator/faults/fault.js';
import { eventually, restartGateway, startGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { percentiles, tell } from '../../support/order-load.js';

const IS_LONG = process.env['OPITIOS_LONG'] === '1';
const KILLS = Number(process.env['OPITIOS_KILLS'] ?? (IS_LONG ? 20 : 1));
const ORDERS = IS_LONG ? 20 : 4;
const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day' };

let gateway: GatewayProcess | undefined;
let successor: { stop(): Promise<void> } | undefined;
afterEach(async () => {
  await successor?.stop();
  await gateway?.stop();
  gateway = successor = undefined;
}, 60_000);

const posts = { method: 'POST', path: '/v2/orders' };
/** Taken and reset, taken and answered by the edge, taken and never answered, never taken. */
const WAYS: readonly Switch['fault'][] = [
  { kind: 'answer-lost', how: 'reset' },
  { kind: 'answer-lost', how: '502' },
  { kind: 'answer-lost', how: 'hang' },
  { kind: 'answer-lost', how: 'reset', when: 'before' },
];
const NEVER_TAKEN = 3;
/** Nothing resolves them before the kill. */
const BLIND: readonly Switch[] = [
  { fault: { kind: 'status', status: 503 }, method: 'GET', path: '/v2/orders*' },
  { fault: { kind: 'status', status: 503 }, method: 'GET', path: '/v2/account/activities*' },
  { fault: { kind: 'stream-lose' } },
];

const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

interface Asked {
  readonly account: number;
  readonly key: string;
  readonly answer: Promise<{ readonly status: number; readonly clientOrderId: string | undefined }>;
}

/** @returns milliseconds from the successor's readiness to each answer */
async function killedOnce(running: GatewayProcess): Promise<readonly number[]> {
  const { simulator, accountIds } = running;
  const authorization = `Bearer ${await running.token()}`;
  let { url } = running;
  const send = async (
    path: string,
    init: RequestInit = {},
  ): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(`${url}/api/v1/accounts/${path}`, {
      ...{ ...init, signal: AbortSignal.timeout(20_000) },
      headers: { authorization, 'content-type': 'application/json', ...(init.headers as Record<string, string>) },
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const place = (account: number, key: string): ReturnType<typeof send> => {
    const headers = { 'idempotency-key': key };
    return send(`${accountIds[account]}/orders/stocks`, { method: 'POST', body: JSON.stringify(ORDER), headers });
  };
  const ask = (account: number, n: number): Asked => {
    const key = `k-${account}-${n}`;
    const answer = place(account, key).then(
      ({ status, body }) => ({ status, clientOrderId: body['client_order_id'] as string | undefined }),
      () => ({ status: 0, clientOrderId: undefined }),
    );
    return { account, key, answer };
  };
  const sent = async (): Promise<number> => (await simulator.control.ledger(posts)).entries.length;

  const all = [...WAYS.keys()];
  await simulator.control.switchOn([
    ...BLIND,
    ...WAYS.map((fault, n): Switch => ({ ...posts, fault, accounts: [accountIds[n] ?? ''] })),
  ]);
  const told = all.flatMap((account) => Array.from({ length: ORDERS }, (_, n) => ask(account, n)));
  const statuses = await Promise.all(told.map(async ({ answer }) => (await answer).status));
  expect(statuses).toEqual(told.map(() => 202));
  const underWay = all.map((account) => ask(account, ORDERS));
  const asked = [...told, ...underWay];
  await eventually(async () => (await sent()) === asked.length, 'every order has reached the broker', 60_000);

  const pids = (await running.pool()).workers.map(({ pid }) => pid);
  running.primary.kill('SIGKILL');
  await eventually(() => !pids.some(isAlive), 'no worker is left');
  await simulator.control.switchOff();
  const again = await restartGateway(running);
  successor = again;
  ({ url } = again);
  const readyAt = performance.now();

  // At once, beside the recovery.
  const fresh = all.map((account) =>
    eventually(async () => (await place(account, 'fresh')).status === 201, 'a new order is taken', 60_000),
  );
  await Promise.all(fresh);
  const resolvedMs = await Promise.all(
    asked
      .filter(({ account }) => account !== NEVER_TAKEN)
      .map(async ({ account, key, answer }) => {
        const { clientOrderId } = await answer;
        const isTold = async (): Promise<boolean> => {
          const { status, body } = await place(account, key);
          if (status === 201 && clientOrderId !== undefined) expect(body['client_order_id']).toBe(clientOrderId);
          expect([200, 201, 202, 409]).toContain(status);
          return status === 201;
        };
        await eventually(isTold, `${key} is told`, 60_000);
        return performance.now() - readyAt;
      }),
  );
  // The broker never had these: said to be unknown, never refused, never sent again.
  for (const { account, key } of asked.filter((one) => one.account === NEVER_TAKEN))
    expect([key, (await place(account, key)).status]).toEqual([key, 202]);
  // What carries no id of ours has to wait until they are known.
  const close = await send(`${accountIds[NEVER_TAKEN]}/positions/AAPL`, { method: 'DELETE' });
  expect(close.status).toBeGreaterThanOrEqual(400);

  expect(await sent()).toBe(asked.length + fresh.length);
  const ids = (await simulator.control.orders()).map(({ client_order_id }) => client_order_id);
  expect(ids.length).toBe(3 * (ORDERS + 1) + fresh.length);
  expect(new Set(ids).size).toBe(ids.length);
  await again.stop();
  return resolvedMs;
}

test(
  `${KILLS} kills of the primary with outcomes unknown: the successor tells what the broker has and sends nothing again`,
  async () => {
    const resolvedMs: number[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      gateway = await startGateway({
        ...{ accounts: WAYS.length, workers: 2 },
        simulator: ['--rate', '100000', '--fills', 'manual'],
        config: {
          alpaca: { rate_limit_per_minute: 100_000 },
          orders: { ambiguous: 'reconcile_only', answer_deadline_ms: 500 },
        },
      });
      resolvedMs.push(...(await killedOnce(gateway)));
      await gateway.stop();
    }
    tell(
      `${KILLS} kills of the primary with ${WAYS.length * (ORDERS + 1)} orders unknown each: ${resolvedMs.length} resolved, ` +
        `${percentiles(resolvedMs)} after ready, 0 sent again`,
    );
  },
  60_000 + KILLS * 60_000,
);
