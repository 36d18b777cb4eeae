/** Key pairs and whom they belong to: made from the seed, revoked and broken by the control door. Keeps no money. */
import type { KeyOwner, KeyRing } from './doors.js';
import type { SeededRandom } from './venue/seeded-random.js';

export interface AccountKeys {
  readonly accountId: string;
  readonly apiKey: string;
  readonly secretKey: string;
}

interface Pair {
  readonly secretKey: string;
  readonly owner: KeyOwner;
  isBroken: boolean;
}

export const MASTER_ID = 'master';

export class Keys implements KeyRing {
  readonly #pairs = new Map<string, Pair>();
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Key ids look like the broker's paper keys; both parts are chance, so no real key is ever printed. */
  issue(accountId: string): AccountKeys {
    const apiKey = `PK${this.#random.hex(18).toUpperCase()}`;
    const secretKey = this.#random.hex(40);
    const owner = { accountId, isMaster: accountId === MASTER_ID };
    this.#pairs.set(apiKey, { secretKey, owner, isBroken: false });
    return { accountId, apiKey, secretKey };
  }

  ownerOf(apiKey: string | undefined, secretKey: string | undefined): KeyOwner | undefined {
    const pair = apiKey === undefined ? undefined : this.#pairs.get(apiKey);
    return pair === undefined || pair.isBroken || pair.secretKey !== secretKey ? undefined : pair.owner;
  }

  /** A broken pair is refused like a wrong one until it is mended. */
  setBroken(accountId: string, isBroken: boolean): boolean {
    let found = false;
    for (const pair of this.#pairs.values()) {
      if (pair.owner.accountId !== accountId) continue;
      pair.isBroken = isBroken;
      found = true;
    }
    return found;
  }

  /** One pair; the account's others work on. */
  revokePair(apiKey: string): boolean {
    return this.#pairs.delete(apiKey);
  }

  revoke(accountId: string): void {
    for (const [apiKey, pair] of this.#pairs) if (pair.owner.accountId === accountId) this.#pairs.delete(apiKey);
  }
}
