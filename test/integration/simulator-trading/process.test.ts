/** The simulator as its own program, under many accounts and streams at once. Needs `npm run build`. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startSimulatorProcess, type SimulatorProcess } from '../../support/simulator.js';
import { Caller, StreamProbe } from '../../support/simulator-caller.js';

const ACCOUNTS = 200;
let simulator: SimulatorProcess;

beforeAll(async () => {
  simulator = await startSimulatorProcess(['--accounts', String(ACCOUNTS), '--seed', '5', '--ledger', 'count']);
});
afterAll(() => simulator.close());

test('every account has a stream, and each hears its own fill once', async () => {
  const probes = await Promise.all(
    simulator.accounts.map((keys) => StreamProbe.listen(simulator.endpoints.streamTrading, keys)),
  );

  await Promise.all(
    simulator.accounts.map((keys) =>
      new Caller(simulator.url, keys).post('/v2/orders', {
        symbol: 'AAPL',
        qty: '1',
        side: 'buy',
        type: 'market',
        time_in_force: 'day',
      }),
    ),
  );
  await Promise.all(probes.map((probe) => probe.until(() => probe.events().includes('fill'), 20_000)));

  const counters = await simulator.control.counters();
  const counts = await simulator.control.orderCounts();
  for (const probe of probes) probe.socket.terminate();
  expect(counters.tradeStreamsTotal).toEqual({ opened: ACCOUNTS, open: ACCOUNTS });
  expect(counters.requests['POST /v2/orders']).toBe(ACCOUNTS);
  expect(new Set(Object.values(counts))).toEqual(new Set([1]));
  expect(await simulator.control.executions()).toHaveLength(ACCOUNTS);
});

test('the control door has the same methods, and names what it cannot do', async () => {
  const { accountId } = await simulator.control.addAccount();
  const [id] = await simulator.control.switchOn({ path: '/v2/clock', fault: { kind: 'status', status: 503 } });
  const caller = new Caller(simulator.url, simulator.accounts[0]!);

  expect(accountId).toBe('account_201');
  expect((await caller.get('/v2/clock')).status).toBe(503);
  expect(await simulator.control.switchOff(id)).toBe(1);
  expect((await caller.get('/v2/clock')).status).toBe(200);
  await expect(simulator.control.order('none')).rejects.toThrow('no order none');
  await expect(simulator.control.setPosition('nobody', 'AAPL', '1', '1')).rejects.toThrow('no account nobody');
});

test('a broken key is refused until it is mended', async () => {
  const keys = simulator.accounts[1]!;
  const caller = new Caller(simulator.url, keys);

  await simulator.control.breakKey(keys.accountId);
  const broken = await caller.get('/v2/account');
  await simulator.control.breakKey(keys.accountId, false);
  const mended = await caller.get('/v2/account');

  expect([broken.status, mended.status]).toEqual([401, 200]);
});
