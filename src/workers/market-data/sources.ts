/**
 * Whose key serves market data now: the master's, or a named stand-in's while the master is refused, out of budget for
 * long or unreachable. States of an account: `good`; `doubtful` (it failed, less than the patience ago); `out` until a
 * probe succeeds or, for a refused stream, a pause that doubles has passed. The first account that is not out is the
 * current one; when all are out it is the master, so that its error is the one that callers see.
 */
import { MASTER_ACCOUNT_ID } from '../../kernel/domain/identifiers.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { UpstreamAccount } from './upstream.js';
import type { RateBudget } from './rate-budget.js';

export interface Source {
  readonly account: UpstreamAccount;
  readonly dataBudget: RateBudget;
  readonly tradingBudget: RateBudget;
}

/** Unreachable for this long is out; with the time of one connect it stays under the 5 s that a takeover may take. */
const PATIENCE_MS = 2_500;
const PAUSE_MIN_MS = 5_000;
const PAUSE_MAX_MS = 60_000;

interface Health {
  failingSince?: number;
  outUntil?: number;
  pauseMs: number;
}

/** What each key may still ask of the data and the trading host, by account. */
export type BudgetsLeft = Readonly<Record<string, readonly [data: number, trading: number]>>;

export class Sources {
  readonly #health = new Map<Source, Health>();
  readonly #listeners = new Set<() => void>();
  #current: Source;

  /** The master first, then the stand-ins in the order configured. At least one. */
  constructor(
    private readonly all: readonly [Source, ...Source[]],
    private readonly clock: Clock,
  ) {
    this.#current = all[0];
    for (const source of all) this.#health.set(source, { pauseMs: PAUSE_MIN_MS });
  }

  current(): Source {
    return this.#current;
  }

  /** Who may be asked right now, best first. */
  usable(): readonly Source[] {
    const usable = this.all.filter((source) => this.#healthOf(source).outUntil === undefined);
    return usable.length === 0 ? [this.all[0]] : usable;
  }

  /** `rest`, or `rest:account_005` while a stand-in serves. */
  label(way: 'rest' | 'stream', source: Source): string {
    return source.account.accountId === MASTER_ACCOUNT_ID ? way : `${way}:${source.account.accountId}`;
  }

  succeeded(source: Source): void {
    const health = this.#healthOf(source);
    delete health.failingSince;
  }

  /** The key itself was refused. Nothing to be patient about. */
  refused(source: Source): void {
    const health = this.#healthOf(source);
    if (health.outUntil !== undefined) return;
    health.outUntil = this.clock.monotonicMs() + health.pauseMs;
    health.pauseMs = Math.min(PAUSE_MAX_MS, health.pauseMs * 2);
    this.#choose();
  }

  /** Unreachable or out of budget: out when that goes on. */
  failed(source: Source): void {
    const health = this.#healthOf(source);
    const now = this.clock.monotonicMs();
    health.failingSince ??= now;
    if (now - health.failingSince >= PATIENCE_MS) this.refused(source);
  }

  /** Who is out and whose pause is over: to be probed. */
  dueForProbe(): readonly Source[] {
    const now = this.clock.monotonicMs();
    return this.all.filter((source) => (this.#healthOf(source).outUntil ?? Infinity) <= now);
  }

  /** A probe is on its way: not due again before it is back or lost. */
  probing(source: Source): void {
    this.#healthOf(source).outUntil = this.clock.monotonicMs() + PAUSE_MIN_MS;
  }

  probed(source: Source, isGood: boolean): void {
    const health = this.#healthOf(source);
    if (isGood) {
      delete health.outUntil;
      delete health.failingSince;
    } else {
      health.outUntil = this.clock.monotonicMs() + PAUSE_MIN_MS;
    }
    this.#choose();
  }

  /** It has served well for a while: its next failure starts with the shortest pause again. */
  forgive(source: Source): void {
    this.#healthOf(source).pauseMs = PAUSE_MIN_MS;
  }

  budgetsLeft(): BudgetsLeft {
    return Object.fromEntries(
      this.all.map(({ account, dataBudget, tradingBudget }) => [
        account.accountId,
        [dataBudget.left(), tradingBudget.left()],
      ]),
    );
  }

  inheritBudgets(left: BudgetsLeft, agoMs: number): void {
    for (const { account, dataBudget, tradingBudget } of this.all) {
      const [data, trading] = left[account.accountId] ?? [];
      if (data !== undefined) dataBudget.inherit(data, agoMs);
      if (trading !== undefined) tradingBudget.inherit(trading, agoMs);
    }
  }

  /** See RateBudget.useShare. */
  useShare(share: number): void {
    for (const { dataBudget, tradingBudget } of this.all) {
      dataBudget.useShare(share);
      tradingBudget.useShare(share);
    }
  }

  onChange(listen: () => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  #choose(): void {
    const next = this.usable()[0] ?? this.all[0];
    if (next === this.#current) return;
    this.#current = next;
    for (const listen of this.#listeners) listen();
  }

  #healthOf(source: Source): Health {
    const health = this.#health.get(source) ?? { pauseMs: PAUSE_MIN_MS };
    this.#health.set(source, health);
    return health;
  }
}
