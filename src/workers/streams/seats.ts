/** How many sockets an address and a token's subject hold in this worker. */

export interface SeatLimits {
  readonly socketsPerSubject: number;
  readonly socketsPerAddress: number;
}

export interface Seat {
  /** The token came later: false when its subject holds too many. */
  readonly nameSubject: (subject: string) => boolean;
  /** Once; a second call is harmless. */
  readonly leave: () => void;
}

export class Seats {
  readonly #byAddress = new Map<string, number>();
  readonly #bySubject = new Map<string, number>();

  constructor(private readonly limits: SeatLimits) {}

  take(address: string, subject: string | undefined): Seat | undefined {
    if (!add(this.#byAddress, address, this.limits.socketsPerAddress)) return undefined;
    if (subject !== undefined && !add(this.#bySubject, subject, this.limits.socketsPerSubject)) {
      remove(this.#byAddress, address);
      return undefined;
    }
    let named = subject;
    let left = false;
    return {
      nameSubject: (late) => {
        if (left || !add(this.#bySubject, late, this.limits.socketsPerSubject)) return false;
        named = late;
        return true;
      },
      leave: () => {
        if (left) return;
        left = true;
        remove(this.#byAddress, address);
        if (named !== undefined) remove(this.#bySubject, named);
      },
    };
  }
}

function add(counts: Map<string, number>, key: string, limit: number): boolean {
  const count = counts.get(key) ?? 0;
  if (count >= limit) return false;
  counts.set(key, count + 1);
  return true;
}

function remove(counts: Map<string, number>, key: string): void {
  const count = (counts.get(key) ?? 0) - 1;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
