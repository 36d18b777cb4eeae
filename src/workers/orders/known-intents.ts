/**
 * The intents of an account that are known already, under way or on disk, and what a repeated request is told about
 * them: a replay, a conflict, or to come back later (docs/order-protocol.md#what-each-answer-means).
 */
import type { AccountAnswer } from '../../kernel/domain/account-request.js';
import type { AccountJournal } from '../../kernel/journal/account-journal.js';
import type { IntentRecord } from '../../kernel/journal/records.js';
import { answerOf, problemAnswer, unknownAnswer } from './answers.js';
import type { IntentIdentity } from './intent-plan.js';
import type { LiveIntent } from './live-intent.js';

export type Acquaintance =
  /** Nothing stands in the way of placing it, under this id. */
  { readonly kind: 'new'; readonly clientOrderId: string } | { readonly kind: 'known'; readonly answer: AccountAnswer };

export class KnownIntents {
  readonly #live = new Map<string, LiveIntent>();
  /** Keys of live intents: the journal shows them only once they are durable. */
  readonly #scopes = new Map<string, string>();

  constructor(private readonly journal: AccountJournal) {}

  add(live: LiveIntent): void {
    this.#live.set(live.clientOrderId, live);
    if (live.intent.scope !== undefined) this.#scopes.set(live.intent.scope, live.clientOrderId);
  }

  remove(live: LiveIntent): void {
    if (this.#live.get(live.clientOrderId) !== live) return;
    this.#live.delete(live.clientOrderId);
    if (live.intent.scope !== undefined) this.#scopes.delete(live.intent.scope);
  }

  get(clientOrderId: string): LiveIntent | undefined {
    return this.#live.get(clientOrderId);
  }

  all(): readonly LiveIntent[] {
    return [...this.#live.values()];
  }

  /** Intents whose outcome nobody knows. */
  openUnknown(): number {
    return this.#openUnknowns().length;
  }

  oldestUnknownMs(): number | undefined {
    const ages = this.#openUnknowns().map(({ ageMs }) => ageMs);
    return ages.length === 0 ? undefined : Math.max(...ages);
  }

  #openUnknowns(): readonly LiveIntent[] {
    return this.all().filter(({ isOpenUnknown }) => isOpenUnknown);
  }

  get size(): number {
    return this.#live.size;
  }

  /** @throws GatewayError JOURNAL_BROKEN */
  meet(identity: IntentIdentity, fingerprint: string): Acquaintance {
    const { scope } = identity;
    const keyed = scope === undefined ? undefined : (this.#scopes.get(scope) ?? this.journal.clientOrderIdOf(scope));
    const clientOrderId = keyed ?? identity.clientOrderId;
    const live = this.#live.get(clientOrderId);
    const intent = live?.intent ?? this.journal.intent(clientOrderId);
    if (intent === undefined) return { kind: 'new', clientOrderId };
    if (keyed === undefined && scope !== undefined && intent.scope !== scope) return known(collision(intent));
    if (intent.fingerprint !== fingerprint) return known(reused(intent));
    if (live !== undefined) return known(live.callerGone ? this.#unknown(intent) : inFlight(intent));
    const outcome = this.journal.outcome(clientOrderId);
    if (outcome === undefined) return known(this.#unknown(intent));
    if (outcome.state === 'NOT_SENT') return { kind: 'new', clientOrderId };
    if (outcome.state === 'ABANDONED_UNCONFIRMED') return known(this.#unknown(intent));
    return known(answerOf(outcome, true));
  }

  #unknown({ clientOrderId }: IntentRecord): AccountAnswer {
    return unknownAnswer(this.journal.accountId, clientOrderId);
  }
}

function known(answer: AccountAnswer): Acquaintance {
  return { kind: 'known', answer };
}

function inFlight({ clientOrderId }: IntentRecord): AccountAnswer {
  const detail = 'The first request with this key has not been answered yet.';
  return problemAnswer('request-in-flight', detail, { retryAfterS: 1, members: { client_order_id: clientOrderId } });
}

function reused({ clientOrderId }: IntentRecord): AccountAnswer {
  const detail = 'An earlier request with this key asked for something else.';
  return problemAnswer('idempotency-key-reused', detail, { members: { client_order_id: clientOrderId } });
}

function collision({ clientOrderId }: IntentRecord): AccountAnswer {
  const detail = 'An earlier request under another key uses this client order id.';
  return problemAnswer('client-order-id-collision', detail, { members: { client_order_id: clientOrderId } });
}
