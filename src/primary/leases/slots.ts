/**
 * Which instance should hold a slot. Pure: every instance that sees the same members comes to the same answer without
 * talking. A slot, not an account, is what is leased: a few renewals carry any number of accounts.
 */
import { createHash } from 'node:crypto';

/**
 * The fair shares: each slot goes to the member that scores highest on it (rendezvous hashing), bounded so that no
 * member holds more than its fair share rounded up. A member that comes or goes moves few slots beyond its own.
 */
export function fairShares(slots: number, members: readonly string[]): ReadonlyMap<number, string> {
  const owners = new Map<number, string>();
  if (members.length === 0) return owners;
  const room = new Map(members.map((member) => [member, Math.ceil(slots / members.length)]));
  for (let slot = 0; slot < slots; slot += 1) {
    for (const member of byScore(slot, members)) {
      const left = room.get(member) ?? 0;
      if (left === 0) continue;
      room.set(member, left - 1);
      owners.set(slot, member);
      break;
    }
  }
  return owners;
}

function byScore(slot: number, members: readonly string[]): readonly string[] {
  return members
    .map((member) => ({
      member,
      score: createHash('sha256')
        .update(`${String(slot)}|${member}`)
        .digest('hex'),
    }))
    .sort((a, b) => (a.score < b.score ? 1 : -1))
    .map(({ member }) => member);
}
