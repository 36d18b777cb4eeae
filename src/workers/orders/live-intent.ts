/** One intent without an outcome yet: its record, the evidence so far, and who waits for it. Holds no timer. */
import type { IntentRecord, OutcomeRecord } from '../../kernel/journal/records.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import { isRecord, matchesIntent, readJson, replacedBy, type BrokerOrder, type Wanted } from './core/order-match.js';
import type { Evidence } from './core/evidence.js';
import { judge, type Verdict } from './core/outcome.js';

const EVIDENCE_MAX = 64;

export class LiveIntent {
  readonly body: BrokerOrder;
  readonly settled: Promise<OutcomeRecord>;
  /** True once a caller was told 202, or nobody waits: the same key then gets the 202 rather than a 409. */
  callerGone = false;
  readonly #startedAt: number;
  #evidence: Evidence[] = [];
  #verdict: Verdict = { state: 'NONE', late: false };
  #resolve: (outcome: OutcomeRecord) => void = () => undefined;
  #wake: AbortController | undefined;

  constructor(
    public intent: IntentRecord,
    private readonly clock: Clock,
    /** Milliseconds since the intent was recorded, when a former owner did; negative if the wall clock was set back. */
    private readonly inheritedAgeMs = 0,
  ) {
    this.#startedAt = clock.monotonicMs();
    const body = readJson(new TextEncoder().encode(intent.body));
    this.body = isRecord(body) ? body : {};
    this.settled = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Monotonic within this process: a step of the wall clock makes no order older or younger. */
  get ageMs(): number {
    return Math.max(0, this.inheritedAgeMs) + this.heldMs;
  }

  /** How long this process has held it: what a quarantine is measured by, since an inherited age may be a clock's error. */
  get heldMs(): number {
    return this.clock.monotonicMs() - this.#startedAt;
  }

  /** False when nobody can tell how old it is. */
  get hasKnownAge(): boolean {
    return this.inheritedAgeMs >= 0;
  }

  get clientOrderId(): string {
    return this.intent.clientOrderId;
  }

  get verdict(): Verdict {
    return this.#verdict;
  }

  /** What the broker's order must be to be this one. */
  get wanted(): Wanted {
    const { kind, path, hasDerivedId } = this.intent;
    const replaces = kind === 'replace' ? { replaces: replacedBy(path) } : {};
    // Refused as a duplicate on the only attempt: an earlier request may have asked for another order under this id.
    const isTaken = this.#verdict.state === 'EXISTS' && !this.#mayHaveSentBefore();
    return { kind, body: this.body, hasDerivedId: hasDerivedId === true && !isTaken, ...replaces };
  }

  /** Unknown as callers see it: until the outcome is on disk they are told 202. */
  get isOpenUnknown(): boolean {
    return this.callerGone && this.#verdict.state !== 'ABANDONED';
  }

  /** Adds evidence and wakes whoever waits for some. */
  note(evidence: Evidence): void {
    this.#evidence.push(evidence);
    this.#verdict = judge(this.#evidence);
    if (this.#evidence.length > EVIDENCE_MAX) this.#compact();
    this.#wake?.abort();
  }

  /** An order that carries our id: ours if it matches the intent. */
  noteOrder(order: BrokerOrder, channel: 'lookup' | 'list' | 'stream' | 'answer'): void {
    if (order['client_order_id'] !== this.clientOrderId) return;
    if (matchesIntent(this.wanted, order)) this.note({ kind: 'seen', channel, order });
    else this.note({ kind: 'seen-other', order });
  }

  #mayHaveSentBefore(): boolean {
    return this.#evidence.some(
      (one) => one.kind === 'taken-over' || (one.kind === 'attempt' && one.result.kind === 'ambiguous'),
    );
  }

  /** Many views of one order prove no more than the furthest of them. */
  #compact(): void {
    const { order } = this.#verdict;
    const other = this.#evidence.find(({ kind }) => kind === 'seen-other');
    this.#evidence = this.#evidence.filter(({ kind }) => kind !== 'seen' && kind !== 'seen-other');
    if (other !== undefined) this.#evidence.push(other);
    if (order !== undefined) this.#evidence.push({ kind: 'seen', channel: 'list', order });
  }

  /** Aborts at the next evidence; one waiter at a time. */
  nextEvidence(): AbortSignal {
    this.#wake = new AbortController();
    return this.#wake.signal;
  }

  wake(): void {
    this.#wake?.abort();
  }

  settle(outcome: OutcomeRecord): void {
    this.#resolve(outcome);
  }
}
