import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentiles, tell } from '../../support/order-load.js';
import { eventually, startGateway, type GatewayProcess } from '../../support/gateway-process.js';

const KILLS = Number(process.env['OPITIOS_KILLS'] ?? (process.env['OPITIOS_LONG'] === '1' ? 100 : 3));
const WORKERS = KILLS > 3 ? 4 : 2;
/** Each worker lives past its youth, or its death counts as one of a loop and its successor has to wait. */
const BETWEEN_MS = KILLS > 3 ? 2_700 : 500;
/** An answer that takes this long is no answer: the connection hangs. */
const HUNG_MS = 20_000;
const CALLERS = 6;
const HAS_SPARE = process.env['OPITIOS_SPARE'] !== '0';
/** A caller that hears nothing or a 503 repeats the same request under the same key, as the contract says. */
const TRIES_MAX = 60;

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway({
    accounts: 8,
    workers: WORKERS,
    simulator: ['--rate', '100000'],
    config: {
      alpaca: { rate_limit_per_minute: 100_000 },
      cluster: { warm_spare: HAS_SPARE },
    },
  });
}, 90_000);
afterAll(() => gateway.stop(), 60_000);

interface Placed {
  readonly accountId: string;
  readonly key: string;
  readonly clientOrderId: string;
  /** Statuses other than the last, `0` for a connection that broke. */
  readonly statuses: readonly number[];
}

const hung: string[] = [];

async function answerOf(accountId: string, key: string): Promise<{ readonly status: number; readonly text: string }> {
  const body = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day' };
  const asked = gateway
    .post(`/accounts/${accountId}/orders/stocks`, body, { 'idempotency-key': key })
    .then(async (response) => ({ status: response.status, text: await response.text() }))
    .catch(() => ({ status: 0, text: '' }));
  const limit = new AbortController();
  const late = sleep(HUNG_MS, undefined, { signal: limit.signal }).then(
    () => {
      hung.push(key);
      return { status: 0, text: '' };
    },
    () => asked,
  );
  const answer = await Promise.race([asked, late]);
  limit.abort();
  return answer.text === '' ? { status: 0, text: '' } : answer;
}

async function place(accountId: string, key: string, pauseMs = 50): Promise<Placed> {
  const statuses: number[] = [];
  for (let attempt = 0; attempt < TRIES_MAX * (50 / pauseMs); attempt += 1) {
    const { status, text } = await answerOf(accountId, key);
    statuses.push(status);
    if (status === 201 || status === 202) {
      const { client_order_id: clientOrderId = '' } = JSON.parse(text) as { readonly client_order_id?: string };
      return { accountId, key, clientOrderId, statuses };
    }
    await sleep(pauseMs);
  }
  throw new TypeError(`${key} was never answered: ${statuses.join(' ')}`);
}

async function spares(): Promise<number | undefined> {
  return (await counters('gauge')).get('opitios_workers{state="spare"}');
}

async function counters(kind = 'counter'): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const names = new Set([...text.matchAll(new RegExp(`^# TYPE (\\S+) ${kind}$`, 'gm'))].map((match) => match[1]));
  const samples = [...text.matchAll(/^([a-z_]+)(\{.*\})? (\S+)$/gm)];
  return new Map(
    samples
      .filter(([, name = '']) => names.has(name) && !/^opitios_(?:process|nodejs)_/.test(name))
      .map(([, name = '', labels = '', value]) => [name + labels, Number(value)]),
  );
}

test(`${KILLS} kills under orders: none is lost or doubled, no caller is refused for a repetition of ours, no counter falls`, async () => {
  const state = { done: false };
  const placed: Placed[] = [];
  const callers = Array.from({ length: CALLERS }, async (_, caller) => {
    for (let turn = 0; !state.done; turn += 1) {
      const accountId = gateway.accountIds[(turn * CALLERS + caller) % gateway.accountIds.length] ?? '';
      placed.push(await place(accountId, `k-${caller}-${turn}`));
    }
  });
  const fallen: string[] = [];
  const scrapes = (async () => {
    let before = await counters();
    while (!state.done) {
      await sleep(200);
      const now = await counters();
      for (const [name, value] of before) if ((now.get(name) ?? 0) < value) fallen.push(name);
      before = now;
    }
  })();
  const wholeMs: number[] = [];
  const tradingMs: number[] = [];
  for (let kill = 0; kill < KILLS; kill += 1) {
    await sleep(BETWEEN_MS);
    if (HAS_SPARE && KILLS > 3) await eventually(async () => (await spares()) === 1, 'the spare is warm');
    const { workers, accounts } = await gateway.pool();
    const victim = workers[kill % workers.length]?.slot ?? 0;
    const pid = workers.find(({ slot }) => slot === victim)?.pid ?? 0;
    const killedAt = performance.now();
    process.kill(pid, 'SIGKILL');
    // One account of the dead worker, asked as often as a program would that has no time to lose.
    const orphan = accounts.find(({ owner }) => owner === victim)?.account_id ?? '';
    placed.push(await place(orphan, `orphan-${kill}`, 5));
    tradingMs.push(performance.now() - killedAt);
    await eventually(async () => {
      const { workers: now } = await gateway.pool();
      return now.length === WORKERS && now.every((one) => one.state === 'ready' && one.pid !== pid);
    }, 'the pool is whole again');
    wholeMs.push(performance.now() - killedAt);
  }
  state.done = true;
  await Promise.all([...callers, scrapes]);
  const unknown = placed.filter(({ statuses }) => statuses.at(-1) === 202).length;
  tell(
    `${KILLS} kills of ${WORKERS} workers ${HAS_SPARE ? 'with' : 'without'} a spare, ${placed.length} orders (${unknown} answered 202): trading again ${percentiles(tradingMs)}; ` +
      `whole again ${percentiles(wholeMs)}; hung ${hung.length}, counters that fell ${new Set(fallen).size}`,
  );

  expect(placed.length).toBeGreaterThan(CALLERS);
  // 409 tells a caller that its own first request is still under way: only one whose connection broke may hear it.
  const conflicts = placed.filter(
    ({ statuses }) => statuses.includes(409) && !statuses.slice(0, statuses.indexOf(409)).includes(0),
  );
  expect(conflicts).toEqual([]);
  expect(placed.filter(({ clientOrderId }) => clientOrderId === '')).toEqual([]);
  expect([...new Set(fallen)]).toEqual([]);
  expect(hung).toEqual([]);
  // What was confirmed is at the venue. What was left unknown may be there too, under the id that its caller was told:
  // nothing is there twice, and nothing that nobody was told of.
  const atVenue = (await gateway.simulator.control.orders()).map(({ client_order_id }) => client_order_id);
  const held = new Set(atVenue);
  const told = new Set(placed.map(({ clientOrderId }) => clientOrderId));
  const lost = placed.filter(({ statuses, clientOrderId }) => statuses.at(-1) === 201 && !held.has(clientOrderId));
  expect(lost).toEqual([]);
  expect(atVenue.filter((id) => !told.has(id))).toEqual([]);
  expect(atVenue.length).toBe(held.size);
  expect(told.size).toBe(placed.length);
}, 900_000);
