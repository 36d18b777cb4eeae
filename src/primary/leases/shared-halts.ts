/**
 * Trading states that instances tell each other: the newest of each key, and what the store has not been told yet. Speaks
 * to nobody: the keeper's beat carries them both ways.
 */
import type { SharedTradingState } from '../../kernel/domain/account-request.js';
import type { LeaseBeat, LeaseView, SharedHalt } from './lease-store.js';

interface Unshared {
  readonly state: SharedTradingState;
  /** Called when the store has it. */
  readonly told: readonly (() => void)[];
}

export class SharedHalts {
  readonly #newest = new Map<string, SharedTradingState>();
  readonly #unshared = new Map<string, Unshared>();
  #version = 0;

  /**
   * Set here; `*` is every account. Resolves when the store has it. What is set later counts, also where this machine's
   * clock is behind the one that set the last state.
   */
  set(key: string, state: SharedTradingState): Promise<void> {
    const at = Math.max(state.at, this.#newestOf(key) + 1);
    return new Promise((resolve) => this.#toShare(key, { ...state, at }, [resolve]));
  }

  /** What a beat tells the store, and what it need not be told back. */
  forBeat(): Pick<LeaseBeat, 'halts' | 'haltsVersion'> {
    return {
      halts: [...this.#unshared].map(([key, { state }]) => ({ key, state })),
      haltsVersion: this.#version,
    };
  }

  /** @returns the newest of each key; undefined when the store knows nothing new */
  learn({
    haltsVersion,
    halts,
  }: Pick<LeaseView, 'halts' | 'haltsVersion'>): ReadonlyMap<string, SharedTradingState> | undefined {
    if (haltsVersion === this.#version) return undefined;
    this.#version = haltsVersion;
    const told = new Map(halts.map(({ key, state }) => [key, state]));
    for (const [key, state] of told) if (state.at >= (this.#newest.get(key)?.at ?? 0)) this.#newest.set(key, state);
    // A store that lost its memory is told again: a halt must not end with it.
    for (const [key, state] of this.#newest) if (state.at > (told.get(key)?.at ?? 0)) this.#toShare(key, state, []);
    return this.#newest;
  }

  /** The store has these, of a beat that it answered. */
  confirm(halts: readonly SharedHalt[]): void {
    for (const { key, state } of halts) {
      const waiting = this.#unshared.get(key);
      if (waiting?.state !== state) continue;
      this.#unshared.delete(key);
      for (const tell of waiting.told) tell();
    }
  }

  /** Of two that wait for one key the newer is told, and both are heard of. */
  #toShare(key: string, state: SharedTradingState, told: readonly (() => void)[]): void {
    this.#newest.set(key, state);
    this.#unshared.set(key, { state, told: [...(this.#unshared.get(key)?.told ?? []), ...told] });
  }

  /** When what counts for the key now was set: a state of all overrules one of an account, and the other way round. */
  #newestOf(key: string): number {
    const rivals = key === '*' ? [...this.#newest.values()] : [this.#newest.get(key), this.#newest.get('*')];
    return Math.max(0, ...rivals.map((state) => state?.at ?? 0));
  }
}
