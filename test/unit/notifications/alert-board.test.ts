import { expect, test } from '@jest/globals';
import type { SessionReport } from '../../../src/kernel/domain/account-request.js';
import type { AccountId } from '../../../src/kernel/domain/identifiers.js';
import { AlertBoard } from '../../../src/primary/notifications/alert-board.js';
import { findingsOf, type InstanceView } from '../../../src/primary/notifications/conditions.js';
import { ManualClock } from '../../support/manual-clock.js';

function account(name: string, over: Partial<SessionReport> = {}): SessionReport {
  const fine = { state: 'ready', tradingState: 'ACTIVE', openUnknown: 0, streamConnected: true } as const;
  return { accountId: name as AccountId, ...fine, ...over };
}
const view = (over: Partial<InstanceView> = {}): InstanceView => ({
  accounts: [account('a'), account('b')],
  auditHealthy: true,
  isLosingWorkers: false,
  leaseTroubles: [],
  dataStreams: { stock: true },
  ...over,
});

test('a healthy instance has no finding, and each condition is found', () => {
  expect(findingsOf(view())).toEqual([]);
  const found = (over: Partial<InstanceView>): readonly string[] =>
    findingsOf(view(over)).map(({ condition, subject }) => `${condition}/${subject}`);

  expect(found({ accounts: [account('a', { state: 'failed' }), account('b')] })).toEqual(['account-failed/a']);
  expect(found({ accounts: [account('a', { openUnknown: 1, oldestUnknownMs: 61_000 })] })).toEqual(['order-unknown/a']);
  expect(found({ accounts: [account('a', { openUnknown: 1, oldestUnknownMs: 59_000 })] })).toEqual([]);
  expect(found({ auditHealthy: false })).toEqual(['audit-refused/audit']);
  expect(found({ auditHealthy: undefined })).toEqual([]);
  expect(found({ leaseTroubles: ['the leases have lapsed'] })).toEqual(['lease-lost/leases']);
  expect(found({ isLosingWorkers: true })).toEqual(['worker-crash-loop/workers']);
  expect(found({ accounts: [account('a', { state: 'degraded' }), account('b')] })).toEqual(['upstream-down/trading']);
  expect(found({ dataStreams: { stock: false } })).toEqual(['upstream-down/market data (stock)']);
  expect(found({ accounts: [account('a', { clockOffsetMs: -2_500 })] })).toEqual(['clock-drift/clock']);
  expect(
    found({
      accounts: [
        account('a', { clockOffsetMs: 9_000 }),
        account('b', { clockOffsetMs: 5 }),
        account('c', { clockOffsetMs: 7 }),
      ],
    }),
  ).toEqual([]);
});

test('an alert begins when its finding has held, is told once, and ends when it has been gone for a while', async () => {
  const clock = new ManualClock();
  const board = new AlertBoard(clock);
  const failed = [{ condition: 'account-failed', subject: 'a', detail: 'refused' }] as const;
  expect(board.update(failed)).toEqual([]);
  await clock.advance(4_000);
  expect(board.update(failed)).toEqual([]);
  await clock.advance(1_000);
  expect(board.update(failed)).toMatchObject([
    { event: 'firing', condition: 'account-failed', alerts: [{ subject: 'a' }] },
  ]);
  await clock.advance(1_000);
  expect(board.update(failed)).toEqual([]);

  await clock.advance(4_000);
  expect(board.update([])).toEqual([]);
  expect(board.update(failed)).toEqual([]);
  await clock.advance(5_000);
  expect(board.update([])).toMatchObject([{ event: 'resolved', alerts: [{ subject: 'a' }] }]);
  expect(board.firing()).toEqual([]);
  expect(board.recent()).toMatchObject([{ subject: 'a', detail: 'refused' }]);
});

test('a finding that does not hold is forgotten, and its time starts anew', async () => {
  const clock = new ManualClock();
  const board = new AlertBoard(clock);
  const failed = [{ condition: 'account-failed', subject: 'a', detail: 'refused' }] as const;
  board.update(failed);
  await clock.advance(4_000);
  board.update([]);
  await clock.advance(2_000);
  expect(board.update(failed)).toEqual([]);
});

test('a thousand accounts that fail together are one change', () => {
  const clock = new ManualClock();
  const board = new AlertBoard(clock);
  const unknown = Array.from({ length: 1_000 }, (_, index) => ({
    condition: 'order-unknown' as const,
    subject: `account_${index}`,
    detail: 'for 61 s',
  }));
  const changes = board.update(unknown);
  expect([changes.length, changes[0]?.alerts.length]).toEqual([1, 1_000]);
});
