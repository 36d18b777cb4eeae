import { expect, test } from '@jest/globals';
import type { AccountId } from '../../../src/kernel/domain/identifiers.js';
import type { OrderEvent } from '../../../src/kernel/domain/order-event.js';
import { toldBefore } from '../../../src/workers/compose/told-before.js';
import { DeskFixture } from '../../support/order-desk.js';

const ACCOUNT = 'account_001' as AccountId;
const event = (timestamp: string): OrderEvent =>
  ({ accountId: ACCOUNT, epoch: 1, seq: 1, event: 'new', timestamp, data: '{"order":{"id":"o1"}}' }) as OrderEvent;

test('an account without any event is looked at from when somebody listened, one with events from the last of them', () => {
  const { desk } = new DeskFixture();
  const heardSince = Date.parse('2026-01-05T15:00:00.000Z');

  const silent = toldBefore(desk, ACCOUNT, { events: [], heardSince });
  const told = toldBefore(desk, ACCOUNT, { events: [event('2026-01-05T15:30:00Z')], heardSince });
  const unheard = toldBefore(desk, ACCOUNT);

  expect(silent.lastEventAt).toBe('2026-01-05T15:00:00.000Z');
  expect(told.lastEventAt).toBe('2026-01-05T15:30:00Z');
  expect(told.lastEventOf('o1')).toBe('new');
  expect(unheard.lastEventAt).toBeUndefined();
});
