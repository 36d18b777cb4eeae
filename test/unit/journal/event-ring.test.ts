import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { EventPosition } from '../../../src/kernel/domain/order-event.js';
import { EventRing } from '../../../src/kernel/journal/event-ring.js';
import { ACCOUNT, MemoryStore } from '../../support/order-desk.js';

const DRAFT = { event: 'fill', timestamp: '2026-01-05T15:00:00Z', data: '{}', reconciled: false };
const EPOCHS_REMEMBERED = 64;

/** Values that are read are counted: adoption may not read the events. */
class CountingStore extends MemoryStore {
  rangesRead = 0;

  override range(prefix: string): ReturnType<MemoryStore['range']> {
    this.rangesRead += 1;
    return super.range(prefix);
  }
}

async function adopt(store: MemoryStore, epoch: number, size = 100): Promise<EventRing> {
  const ring = new EventRing(store, ACCOUNT, epoch, size);
  await store.commit(ring.adoptionWrites());
  return ring;
}

async function append(store: MemoryStore, ring: EventRing, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const { event, writes } = ring.append(DRAFT);
    await store.commit(writes);
    ring.settle(event.seq);
  }
}

const placesOf = (ring: EventRing, after: EventPosition): readonly string[] =>
  ring.after(after).events.map(({ epoch, seq }) => `${epoch}/${seq}`);

test('an event on its way to the disk is not counted in the position: a listener from there is told it later', () => {
  const ring = new EventRing(new MemoryStore(), ACCOUNT, 7, 100);

  const { event } = ring.append(DRAFT);
  expect(ring.position()).toEqual({ epoch: 7, seq: 0 });

  ring.settle(event.seq);
  expect(ring.position()).toEqual({ epoch: 7, seq: 1 });
});

test('whoever adopts next continues exactly: every event is held or named in a gap, whatever made room before', async () => {
  const lives = fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(lives, fc.integer({ min: 1, max: 20 }), async (counts, size) => {
      const store = new MemoryStore();
      const appended: string[] = [];
      for (const [index, count] of counts.entries()) {
        const epoch = 10 * (index + 1);
        await append(store, await adopt(store, epoch, size), count);
        for (let seq = 1; seq <= count; seq += 1) appended.push(`${epoch}/${seq}`);
      }

      const ring = await adopt(store, 1_000, size);
      const { gaps } = ring.after({ epoch: 0, seq: 0 });

      expect(placesOf(ring, { epoch: 0, seq: 0 })).toEqual(appended.slice(-size));
      const named = gaps.flatMap(({ epoch, from, to }) =>
        Array.from({ length: to - from + 1 }, (_, n) => `${epoch}/${from + n}`),
      );
      expect(named).toEqual(appended.slice(0, Math.max(0, appended.length - size)));
    }),
  );
});

test('adoption reads no event, however full the ring is', async () => {
  const store = new CountingStore();
  await append(store, await adopt(store, 1, 2_048), 2_048);
  store.rangesRead = 0;
  store.bounds = () => ({
    first: `${ACCOUNT}/e/0000000000000001/000000000001`,
    last: `${ACCOUNT}/e/0000000000000001/000000002048`,
  });

  const ring = await adopt(store, 2, 2_048);

  expect(store.rangesRead).toBe(0);
  expect(placesOf(ring, { epoch: 1, seq: 2_046 })).toEqual(['1/2047', '1/2048']);
});

test('events of an epoch that is remembered no longer leave the disk with it', async () => {
  const store = new MemoryStore();
  await append(store, await adopt(store, 1), 3);
  for (let epoch = 2; epoch <= EPOCHS_REMEMBERED + 1; epoch += 1) await append(store, await adopt(store, epoch), 1);

  const ring = await adopt(store, EPOCHS_REMEMBERED + 2);

  const kept = [...store.data.keys()].filter((key) => key.includes('/e/'));
  expect(kept).toHaveLength(placesOf(ring, { epoch: 0, seq: 0 }).length);
  expect(kept[0]).toContain('/0000000000000003/');
});
