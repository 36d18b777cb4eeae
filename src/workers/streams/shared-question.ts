/**
 * One call for all who ask the same. Whoever asks while a call is under way waits for the next one: the answer to a call that
 * began before he asked may lack what happened in between.
 */
interface Asked<T> {
  readonly underWay: Promise<T>;
  next: Promise<T> | undefined;
}

export class SharedQuestion<T> {
  /** Only while a call is under way: never more than are asking. */
  readonly #asked = new Map<string, Asked<T>>();

  /** @returns what `call` gives, begun now or later. @throws what it throws */
  ask(key: string, call: () => Promise<T>): Promise<T> {
    const asked = this.#asked.get(key);
    if (asked === undefined) return this.#begin(key, call);
    asked.next ??= asked.underWay.then(
      () => this.#begin(key, call),
      () => this.#begin(key, call),
    );
    return asked.next;
  }

  #begin(key: string, call: () => Promise<T>): Promise<T> {
    const underWay = call();
    const asked: Asked<T> = { underWay, next: undefined };
    this.#asked.set(key, asked);
    const forget = (): void => {
      if (this.#asked.get(key) === asked && asked.next === undefined) this.#asked.delete(key);
    };
    underWay.then(forget, forget);
    return underWay;
  }
}
