import { expect, test } from '@jest/globals';
import { statusLines, type StatusDocument } from '../../../src/cli/status-table.js';

type Account = StatusDocument['accounts'][number];

function account(name: string, over: Partial<Account> = {}): Account {
  const fine = { state: 'ready', trading_state: 'ACTIVE', owner: 0, last_error: null, open_unknown: 0 };
  return { account_id: name, ...fine, budget: { limit: 200, remaining: 150 }, stream_connected: true, ...over };
}
const status = (over: Partial<StatusDocument> = {}): StatusDocument => ({
  ...{ instance_id: 'desk-1', at: '2026-01-05T15:00:00.000Z', ready: true, reasons: [], client_sockets: 3 },
  latency: { window_s: 60, parts: [{ part: 'total', requests: 12, p50_ms: 1.5, p99_ms: null }] },
  data_streams: [{ side: 'stock', up: true }],
  alerts: { firing: [], recent: [] },
  workers: [{ slot: 0, pid: 4711, state: 'ready', threads: 1, accounts: { ready: 2 } }],
  ...{ accounts: [account('a'), account('b')], accounts_waiting: 0 },
  ...over,
});
const wide = { columns: 120, rows: undefined, hasColour: false };

test('a healthy instance is told in a few lines without a row an account', () => {
  const lines = statusLines(status(), wide);

  expect(lines[0]).toBe('opitios desk-1   ready   2026-01-05 15:00:00 UTC');
  expect(lines.at(-1)).toBe('2 accounts   2 ready');
  expect(lines).toContain('streams   stock data up   trade 2 of 2 up   3 client sockets');
});

test('what needs a person is named: alerts, dead streams, accounts, those that wait for a worker', () => {
  const firing = [{ condition: 'account-failed', subject: 'a', detail: 'refused', since: '2026-01-05T14:59:00.000Z' }];
  const failed = account('a', {
    ...{ state: 'failed', stream_connected: false },
    last_error: { code: 'key-refused', detail: 'auth failed', ageMs: 1_000 },
  });
  const text = statusLines(
    status({
      ...{ ready: false, reasons: ['worker 1 is being replaced'], alerts: { firing, recent: [] } },
      ...{ accounts: [failed, account('b')], accounts_waiting: 7, data_streams: [{ side: 'stock', up: false }] },
    }),
    wide,
  ).join('\n');

  expect(text).toContain('NOT READY: worker 1 is being replaced');
  expect(text).toContain('! account-failed  a: refused');
  expect(text).toContain('stock data DOWN');
  expect(text).toMatch(/9 accounts .* 7 waiting for their worker/);
  expect(text).toMatch(/^a +failed +ACTIVE +0 +DOWN +0 +key-refused: auth failed$/m);
});

test('instances are told with their slots, and leases with their epoch and age', () => {
  const leases = {
    ...{ mode: 'lease', valid_for_ms: 2_100, last_renewed_age_ms: 400, unowned_slots: 0 },
    members: [
      { instance_id: 'desk-1', url: 'http://10.0.0.1:8090', slots: 33 },
      { instance_id: 'desk-2', url: 'http://10.0.0.2:8090', slots: 31 },
    ],
    slots: [
      { slot: 0, epoch: 77 },
      { slot: 5, epoch: 99 },
    ],
  };
  const text = statusLines(status({ leases }), wide).join('\n');
  const lapsed = { ...leases, valid_for_ms: 0, last_renewed_age_ms: null, unowned_slots: 31 };
  const bad = statusLines(status({ leases: lapsed }), { ...wide, hasColour: true }).join('\n');

  expect(text).toMatch(/^desk-1 \* +33 +http:\/\/10.0.0.1:8090$/m);
  expect(text).toMatch(/^desk-2 +31 /m);
  expect(text).toContain('leases   2 slots held   highest epoch 99   renewed 400 ms ago   valid for 2100 ms');
  expect(bad).toContain('\u001b[1;31mleases   2 slots held   highest epoch 99   renewed never   valid for 0 ms');
  expect(bad).toContain('! 31 slots are held by nobody');
});

test('no line is wider and no list longer than the screen', () => {
  const accounts = Array.from({ length: 1_000 }, (_, n) =>
    account(`account_${n}`, { state: 'degraded', last_error: { code: 'x'.repeat(300), detail: '', ageMs: 1 } }),
  );
  const lines = statusLines(status({ accounts }), { columns: 60, rows: 24, hasColour: false });

  expect(lines.length).toBeLessThanOrEqual(24);
  expect(lines.every((line) => line.length <= 60)).toBe(true);
  expect(lines.at(-1)).toMatch(/^… and 99\d more that need attention$/);
});
