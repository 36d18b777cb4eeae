/**
 * Order events through everything that can be cut: client sockets, the broker's streams, workers. What every client was
 * told is held against the simulator's executions. `npm run chaos -- streams` runs the long version.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually, startGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { markOf } from '../../support/gap-flow.js';
import { breaksInOrder, OrderStreamReader } from '../../support/order-stream-reader.js';

const IS_LONG = process.env['OPITIOS_LONG'] === '1';
const ACCOUNTS = IS_LONG ? 50 : 12;
const CLIENT_DROPS = IS_LONG ? 100 : 15;
const UPSTREAM_DROPS = IS_LONG ? 100 : 15;
/** `OPITIOS_KILLS=3` for a part of the long form. */
const WORKER_KILLS = Number(process.env['OPITIOS_KILLS'] ?? (IS_LONG ? 10 : 2));
const READERS = IS_LONG ? 200 : 30;
const TIME_LIMIT_MS = IS_LONG ? 900_000 : 120_000;

let gateway: GatewayProcess;

beforeAll(async () => {
  const limits = {
    streams: { sockets_per_subject: 1_000, sockets_per_address: 1_000, control_messages_per_second: 200 },
  };
  const simulator = ['--rate', '100000', '--cash', '10000000'];
  gateway = await startGateway({ accounts: ACCOUNTS, workers: 2, config: limits, simulator });
}, 90_000);
afterAll(() => gateway.stop(), 60_000);

interface Flow {
  readonly placed: () => number;
  stop(): Promise<void>;
}

/** Market orders on every account in turn, each with its own key, so that one cut off in flight is asked again. */
async function orderFlow(everyMs: number): Promise<Flow> {
  const authorization = `Bearer ${await gateway.token()}`;
  const state = { isDone: false };
  let placed = 0;
  const place = async (n: number): Promise<void> => {
    const accountId = gateway.accountIds[n % ACCOUNTS] ?? '';
    const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
    const key = `flow-${n}-${Math.random()}`;
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const answer = await fetch(`${gateway.url}/api/v1/accounts/${accountId}/orders/stocks`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(order),
        signal: AbortSignal.timeout(15_000),
      }).catch(() => undefined);
      if (answer !== undefined && (answer.status === 201 || answer.status === 202)) {
        placed += 1;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  const running = (async () => {
    const open = new Set<Promise<void>>();
    for (let n = 0; !state.isDone; n += 1) {
      const one: Promise<void> = place(n).finally(() => open.delete(one));
      open.add(one);
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
    await Promise.all(open);
  })();
  return {
    placed: () => placed,
    stop: async () => {
      state.isDone = true;
      await running;
    },
  };
}

async function readers(count: number): Promise<readonly OrderStreamReader[]> {
  const token = await gateway.token({ permissions: ['read'] });
  const all = Array.from({ length: count }, () => new OrderStreamReader(gateway.url, token, gateway.accountIds));
  await Promise.all(all.map((reader) => reader.open()));
  return all;
}

/** Every execution of the simulator since `before` was told exactly once, in order, with no gap. */
async function expectAllTold(all: readonly OrderStreamReader[], before: ReadonlySet<string>): Promise<void> {
  const executed = async (): Promise<readonly string[]> =>
    (await gateway.simulator.control.executions())
      .map(({ orderId, cumQty }) => markOf(orderId, cumQty))
      .filter((id) => !before.has(id));
  const toldBy = (reader: OrderStreamReader): readonly string[] =>
    reader.events.flatMap(({ fill }) => (fill === undefined ? [] : [fill]));
  const missing = async (): Promise<number> => {
    const ids = await executed();
    const lacking = all.map((reader) => {
      const told = new Set(toldBy(reader));
      return ids.filter((id) => !told.has(id)).length;
    });
    return Math.max(...lacking);
  };
  // The drill's own question may meet a connection at its end: asked again.
  const isAllTold = async (): Promise<boolean> => (await missing().catch(() => undefined)) === 0;
  await eventually(isAllTold, 'every execution is told to every reader', 60_000).catch(async (cause: unknown) => {
    const ids = new Set(await executed());
    const lost = all.map((reader) => {
      const told = new Set(toldBy(reader));
      return [...ids].filter((id) => !told.has(id));
    });
    const short = lost.flatMap((missed, n) =>
      missed.length === 0 ? [] : [`${n} (${String(all[n])}): ${missed.length}, ${missed.slice(0, 5).join()}`],
    );
    throw new Error(
      `${String(cause)}; of ${ids.size} executions these were not told: ${short.slice(0, 20).join('; ')}`,
    );
  });
  const ids = await executed();
  expect(ids.length).toBeGreaterThan(0);
  for (const reader of all) {
    const told = toldBy(reader).filter((id) => !before.has(id));
    expect(told.length).toBe(new Set(told).size);
    expect(breaksInOrder(reader.events, reader.gaps)).toEqual([]);
    expect(reader.gaps).toEqual([]);
  }
}

async function executionsSoFar(): Promise<ReadonlySet<string>> {
  const executions = await gateway.simulator.control.executions();
  return new Set(executions.map(({ orderId, cumQty }) => markOf(orderId, cumQty)));
}

test(
  `${CLIENT_DROPS} client drops and ${UPSTREAM_DROPS} upstream drops in the middle of an order flow lose and repeat nothing`,
  async () => {
    const before = await executionsSoFar();
    const all = await readers(4);
    const flow = await orderFlow(15);
    for (let n = 0; n < Math.max(CLIENT_DROPS, UPSTREAM_DROPS); n += 1) {
      if (n < CLIENT_DROPS) all[n % all.length]?.drop();
      if (n < UPSTREAM_DROPS) await gateway.simulator.control.dropStreams([gateway.accountIds[n % ACCOUNTS] ?? '']);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    await flow.stop();

    await expectAllTold(all, before);
    console.log(`${flow.placed()} orders, ${all[0]?.events.length} events told to each of ${all.length} readers`);
    for (const reader of all) reader.close();
  },
  TIME_LIMIT_MS,
);

test(
  `${READERS} subscribed clients miss nothing when workers are killed under them`,
  async () => {
    const before = await executionsSoFar();
    const all = await readers(READERS);
    // All readers live in this process: it has to read every event two hundred times.
    const flow = await orderFlow(IS_LONG ? 100 : 40);
    for (let n = 0; n < WORKER_KILLS; n += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      // One that ended by itself just now is asked for again.
      const isKilled = (): Promise<boolean> =>
        gateway.signalWorker(n % 2, 'SIGKILL').then(
          () => true,
          () => false,
        );
      await eventually(isKilled, 'a worker is killed', 60_000);
      // The connection may be at its end just as it is used again: asked once more.
      const isWhole = async (): Promise<boolean> => (await gateway.pool().catch(() => undefined))?.ready === true;
      await eventually(isWhole, 'the pool is whole again', 60_000);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    await flow.stop();

    await expectAllTold(all, before);
    const reopened = all.reduce((sum, { closes }) => sum + closes.length, 0);
    expect(reopened).toBeGreaterThan(0);
    console.log(
      `${flow.placed()} orders, ${WORKER_KILLS} workers killed, ${all.length} readers came back ${reopened} times`,
    );
    for (const reader of all) reader.close();
  },
  TIME_LIMIT_MS,
);
