/**
 * New broker keys for accounts that stay where they are: their workers go on under the new ones while the old still serve.
 * Says which accounts must be let go of and granted anew instead.
 */
import { GatewayError } from '../kernel/domain/errors.js';
import type { AccountId } from '../kernel/domain/identifiers.js';
import type { KeyRotation } from '../kernel/ipc/control.js';
import type { OwnershipTable } from '../kernel/ipc/ownership.js';
import type { Grants } from './grants.js';
import type { WorkerProcess } from './worker-process.js';

/** A worker asks the broker, opens the second stream and waits for the first: 10 s each at most, a few accounts at a time. */
const ROTATE_MS = 40_000;
const EACH_MS = 500;

/**
 * @returns those whose session must be opened anew
 * @throws GatewayError REFUSED naming the accounts whose new keys the broker does not take while the old ones work;
 *   DEADLINE_EXCEEDED. Some have their new keys then.
 */
export async function rotateKeys(
  accountIds: readonly AccountId[],
  grants: Grants,
  { table, workers }: { readonly table: OwnershipTable; readonly workers: ReadonlyMap<number, WorkerProcess> },
): Promise<readonly AccountId[]> {
  const asked = new Set(accountIds);
  const owned = table.assignments.filter(({ accountId }) => asked.has(accountId));
  const rotations = await Promise.allSettled(
    [...workers].map(async ([slot, worker]) => {
      const mine = await grants.for(owned.filter((assignment) => assignment.slot === slot));
      if (mine.length === 0) return [];
      const answer = await worker
        .ask({ kind: 'rotate', grants: mine }, ROTATE_MS + EACH_MS * mine.length)
        .catch((cause: unknown) => {
          // The next worker of the slot starts with the new keys.
          if (cause instanceof GatewayError && cause.code === 'PEER_GONE') return undefined;
          throw cause;
        });
      return answer?.kind === 'collected' ? (answer.payload as readonly KeyRotation[]) : [];
    }),
  );
  const all = rotations.flatMap((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
  const untaken = all.filter(({ outcome }) => outcome === 'refused' || outcome === 'unreachable');
  if (untaken.length > 0) {
    const reasons = untaken.map(({ accountId, outcome }) => `${accountId}: ${REASONS[outcome]}`);
    throw new GatewayError('REFUSED', { untaken }, { message: `${reasons.join('; ')}; the old keys stay` });
  }
  return all.flatMap(({ accountId, outcome }) => (outcome === 'regrant' ? [accountId] : []));
}

const REASONS: Readonly<Record<string, string>> = {
  refused: 'the broker refuses the new keys',
  unreachable: 'the broker could not be asked about the new keys',
};
