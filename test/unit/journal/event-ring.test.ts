import { expect, test } from '@jest/globals';
import { parseAccountId } from '../../../src/kernel/domain/identifiers.js';
import { EventRing } from '../../../src/kernel/journal/event-ring.js';
import type { Store } from '../../../src/kernel/journal/store.js';

test('an event on its way to the disk is not counted in the position: a listener from there is told it later', () => {
  const empty = { get: () => undefined, range: () => [] } as unknown as Store;
  const ring = new EventRing(empty, parseAccountId('account_001'), 7, 100);
  const draft = { event: 'fill', timestamp: '2026-01-05T15:00:00Z', data: '{}', reconciled: false };

  const { event } = ring.append(draft);
  expect(ring.position()).toEqual({ epoch: 7, seq: 0 });

  ring.settle(event.seq);
  expect(ring.position()).toEqual({ epoch: 7, seq: 1 });
});
