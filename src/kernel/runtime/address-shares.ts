/**
 * Places for those that are not verified: connections, requests and sockets before a token, by the address that they
 * come from. At most `max` in all and `maxPerAddress` of one. When one more comes, the oldest holder of the address that
 * holds most gives way, so that the first of another address always gets in: a balancer's health check among them.
 * Every operation costs the same however many addresses there are.
 */
export interface ShareLimits {
  readonly max: number;
  readonly maxPerAddress: number;
}

export class AddressShares<T> {
  /** Oldest first. */
  readonly #holders = new Map<string, Set<T>>();
  /** Addresses by how many places they hold. */
  readonly #bySize = new Map<number, Set<string>>();
  #total = 0;
  #largest = 0;

  constructor(private readonly limits: ShareLimits) {}

  get size(): number {
    return this.#total;
  }

  /** The holder that gives way, already without its place; undefined while there is one free. */
  take(address: string, holder: T): T | undefined {
    const own = this.#holders.get(address);
    const isOwnFull = (own?.size ?? 0) >= this.limits.maxPerAddress;
    const yielding = isOwnFull ? address : this.#total >= this.limits.max ? this.#largestAddress() : undefined;
    const evicted = yielding === undefined ? undefined : this.#oldestOf(yielding);
    if (yielding !== undefined && evicted !== undefined) this.release(yielding, evicted);
    const holders = this.#holders.get(address) ?? new Set<T>();
    if (holders.has(holder)) return evicted;
    this.#move(address, holders.size, holders.size + 1);
    holders.add(holder);
    this.#holders.set(address, holders);
    this.#total += 1;
    this.#largest = Math.max(this.#largest, holders.size);
    return evicted;
  }

  /** False when the holder had no place here. */
  release(address: string, holder: T): boolean {
    const holders = this.#holders.get(address);
    if (holders?.delete(holder) !== true) return false;
    this.#move(address, holders.size + 1, holders.size);
    if (holders.size === 0) this.#holders.delete(address);
    this.#total -= 1;
    while (this.#largest > 0 && !this.#bySize.has(this.#largest)) this.#largest -= 1;
    return true;
  }

  #largestAddress(): string | undefined {
    const [address] = this.#bySize.get(this.#largest) ?? [];
    return address;
  }

  #oldestOf(address: string): T | undefined {
    const [oldest] = this.#holders.get(address) ?? [];
    return oldest;
  }

  #move(address: string, from: number, to: number): void {
    const before = this.#bySize.get(from);
    before?.delete(address);
    if (before?.size === 0) this.#bySize.delete(from);
    if (to === 0) return;
    const after = this.#bySize.get(to) ?? new Set<string>();
    after.add(address);
    this.#bySize.set(to, after);
  }
}
