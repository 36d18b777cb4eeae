/**
 * Which changes of orders have passed, so that each passes once although it may come twice: by the stream and by gap
 * repair, whose words differ. A change is known by the broker's event id, or by its order, word and time; fills are in
 * published-fills.ts.
 */
const KEPT_MAX = 20_000;

export class SeenUpdates {
  readonly #keys = new Set<string>();

  /** True the first time. */
  note(key: string): boolean {
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    if (this.#keys.size > KEPT_MAX) {
      const [oldest] = this.#keys;
      if (oldest !== undefined) this.#keys.delete(oldest);
    }
    return true;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }
}

export function changeKey(orderId: string, event: string, mark: string): string {
  return `${event} ${orderId} ${mark}`;
}
