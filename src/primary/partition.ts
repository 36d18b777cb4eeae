/**
 * Who should own what: accounts and slots in, balanced ownership out. Pure. Two slots never differ by more than one
 * account, and nothing moves that balance does not require to move.
 */
import type { AccountId } from '../kernel/domain/identifiers.js';

export type Ownership = ReadonlyMap<AccountId, number>;

/**
 * @param accounts every account that must be owned, in configuration order
 * @param slots at least one
 * @param current who owns now; accounts and slots that are gone are ignored
 */
export function partition(accounts: readonly AccountId[], slots: readonly number[], current: Ownership): Ownership {
  const kept = new Map<number, AccountId[]>(slots.map((slot) => [slot, []]));
  const homeless: AccountId[] = [];
  for (const account of accounts) {
    const owner = current.get(account);
    const keeper = owner === undefined ? undefined : kept.get(owner);
    (keeper ?? homeless).push(account);
  }
  const shares = sharesOf(accounts.length, kept);
  for (const [slot, share] of shares) homeless.push(...(kept.get(slot)?.splice(share) ?? []));
  const ownership = new Map<AccountId, number>();
  for (const [slot, share] of shares) {
    const own = kept.get(slot) ?? [];
    own.push(...homeless.splice(0, share - own.length));
    for (const account of own) ownership.set(account, slot);
  }
  return ownership;
}

/** Places for accounts that have none, each at the slot with the fewest; nobody else moves. @param slots at least one */
export function placeNew(accounts: readonly AccountId[], slots: readonly number[], current: Ownership): Ownership {
  const load = new Map(slots.map((slot) => [slot, 0]));
  for (const slot of current.values()) if (load.has(slot)) load.set(slot, (load.get(slot) ?? 0) + 1);
  const places = new Map<AccountId, number>();
  for (const account of accounts) {
    const [least] = [...load].sort(([a, held], [b, also]) => held - also || a - b);
    if (least === undefined) break;
    places.set(account, least[0]);
    load.set(least[0], least[1] + 1);
  }
  return places;
}

/** The shares that are one larger go to the slots that hold most already: so the fewest accounts move. */
function sharesOf(total: number, kept: ReadonlyMap<number, readonly AccountId[]>): ReadonlyMap<number, number> {
  const even = Math.floor(total / kept.size);
  const larger = total % kept.size;
  const byLoad = [...kept].sort(([a, held], [b, also]) => also.length - held.length || a - b);
  return new Map(byLoad.map(([slot], place) => [slot, even + (place < larger ? 1 : 0)]));
}

/** Only what changes hands between two ownerships. */
export function movesBetween(before: Ownership, after: Ownership): Ownership {
  return new Map([...after].filter(([account, slot]) => before.get(account) !== slot));
}
