/**
 * docs/order-protocol.md L2, L3: the check right before the bytes leave knows the lease's deadline, and nobody else's
 * word.
 */
import { expect, test } from '@jest/globals';
import type { AccountId } from '../../../src/kernel/domain/identifiers.js';
import { GrantFence } from '../../../src/workers/compose/grant-fence.js';
import { ManualClock } from '../../support/manual-clock.js';

const accountId = 'account_001' as AccountId;

function aLeasedFence() {
  const clock = new ManualClock();
  const fence = new GrantFence(clock);
  fence.grant({ accountId, lease: { slot: 7, epoch: 5_000, cleanAtMs: clock.monotonicMs() + 4_000 } });
  const renew = (held: readonly (readonly [number, number])[], forMs: number): void =>
    fence.renew({
      validUntilMs: clock.monotonicMs() + forMs,
      wallLeadMs: clock.now() - clock.monotonicMs(),
      held,
    });
  return { clock, fence, renew };
}

test('an instance alone needs no lease', () => {
  const fence = new GrantFence(new ManualClock());
  fence.grant({ accountId });

  expect(fence.holds(accountId)).toBe(true);
  expect(fence.hasLapsed(accountId)).toBe(false);
});

test('a leased account may be sent for only after the lease was told, and until shortly before its end', async () => {
  const { clock, fence, renew } = aLeasedFence();
  expect(fence.holds(accountId)).toBe(false);

  renew([[7, 5_000]], 2_500);
  expect(fence.holds(accountId)).toBe(true);
  await clock.advance(2_200);
  expect(fence.holds(accountId)).toBe(true);
  await clock.advance(1);

  expect(fence.holds(accountId)).toBe(false);
  expect(fence.hasLapsed(accountId)).toBe(true);
});

test('the lease of another epoch does not open the fence of an older grant', () => {
  const { fence, renew } = aLeasedFence();
  renew([[7, 6_024]], 2_500);

  expect(fence.holds(accountId)).toBe(false);
});

test('a word that was long on its way opens nothing', async () => {
  const { clock, fence } = aLeasedFence();
  const word = { validUntilMs: clock.monotonicMs() + 2_500, wallLeadMs: clock.now() - clock.monotonicMs() };
  await clock.advance(30_000);

  fence.renew({ ...word, held: [[7, 5_000]] });

  expect(fence.holds(accountId)).toBe(false);
});

test('a machine that slept while its monotonic clock stood still sends nothing', () => {
  const { clock, fence, renew } = aLeasedFence();
  renew([[7, 5_000]], 2_500);

  clock.stepWall(60_000);

  expect(fence.holds(accountId)).toBe(false);
});

test('after a take-over calls without an id wait until the last owner can have nothing on the wire', async () => {
  const { clock, fence } = aLeasedFence();

  expect(fence.lockDelayMs(accountId)).toBe(4_000);
  await clock.advance(4_000);
  expect(fence.lockDelayMs(accountId)).toBe(0);
});

test('what is released may not be sent for', () => {
  const { fence, renew } = aLeasedFence();
  renew([[7, 5_000]], 2_500);
  fence.revoke(accountId);

  expect(fence.holds(accountId)).toBe(false);
  expect(fence.hasLapsed(accountId)).toBe(false);
});
