/**
 * The OrderEventsDoor of a worker: events of its own accounts as the desk tells them, of all others as their owners
 * broadcast them. An event that a peer's full queue refused is not lost: the stream edge sees the hole and resumes at
 * the owner.
 */
import type { SessionState } from '../../kernel/domain/account-request.js';
import { GatewayError } from '../../kernel/domain/errors.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { EventPosition, OrderEvent, ResumedEvents } from '../../kernel/domain/order-event.js';
import type { Mesh } from '../../kernel/ipc/mesh.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { OrderDesk } from '../orders/order-desk.js';
import type { LocalAccounts } from './local-accounts.js';
import type { OrderEventsDoor } from './order-events-door.js';
import type { OwnershipView } from './ownership-view.js';
import type { SessionReports } from './session-reports.js';
import { resumedFrom, within } from './resumed-events.js';
import type { SharedEvents } from './shared-events.js';

export interface MeshOrderEventsParts {
  readonly mesh: Mesh;
  readonly desk: OrderDesk;
  readonly local: LocalAccounts;
  readonly ownership: OwnershipView;
  readonly reports: SessionReports;
  readonly clock: Clock;
  /** Only where several instances share the accounts. */
  readonly shared?: SharedEvents;
  readonly isElsewhere?: (accountId: AccountId) => boolean;
}

type Question =
  | { readonly ask: 'position'; readonly accountId: AccountId }
  | { readonly ask: 'resume'; readonly accountId: AccountId; readonly after: EventPosition };

const RECHECK_MS = 100;

export class MeshOrderEvents implements OrderEventsDoor {
  readonly #listeners = new Set<(event: OrderEvent) => void>();

  constructor(private readonly parts: MeshOrderEventsParts) {
    const { mesh, desk } = parts;
    desk.onOrderEvent((event) => {
      this.#tell(event);
      mesh.broadcast('order-events', { header: event });
      parts.shared?.publish(event);
    });
    parts.shared?.onEvent((event) => this.#tell(event));
    mesh.onNotify('order-events', (message) => this.#tell(message.header as OrderEvent));
    mesh.onCall('order-events', (message) => {
      const question = message.header as Question;
      return Promise.resolve({ header: this.#answer(question) ?? null });
    });
  }

  onEvent(listen: (event: OrderEvent) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  onState(listen: (accountId: AccountId, state: SessionState) => void): () => void {
    return this.parts.reports.onState(listen);
  }

  async position(accountId: AccountId, options: { readonly deadlineMs: number }): Promise<EventPosition> {
    const { shared, isElsewhere } = this.parts;
    if (shared === undefined || isElsewhere?.(accountId) !== true)
      return (await this.#ask({ ask: 'position', accountId }, options.deadlineMs)) as EventPosition;
    return (await within(shared.position(accountId), options.deadlineMs, this.parts.clock)) ?? { epoch: 0, seq: 0 };
  }

  async resume(
    accountId: AccountId,
    after: EventPosition,
    options: { readonly deadlineMs: number },
  ): Promise<ResumedEvents> {
    const { shared, isElsewhere, clock } = this.parts;
    if (shared === undefined) return this.#resumeHere(accountId, after, options.deadlineMs);
    if (isElsewhere?.(accountId) === true)
      return resumedFrom(after, [await within(shared.after(accountId, after), options.deadlineMs, clock)]);
    const here = await this.#resumeHere(accountId, after, options.deadlineMs);
    const isWhole = here.gaps.length === 0 && here.events.every(({ epoch }) => epoch === after.epoch);
    // What happened under another instance is not on this disk.
    if (isWhole && here.events.length > 0) return here;
    const elsewhere = await within(shared.after(accountId, after), options.deadlineMs, clock).catch(() => undefined);
    return elsewhere === undefined ? here : resumedFrom(after, [elsewhere, here.events]);
  }

  async #resumeHere(accountId: AccountId, after: EventPosition, deadlineMs: number): Promise<ResumedEvents> {
    return (await this.#ask({ ask: 'resume', accountId, after }, deadlineMs)) as ResumedEvents;
  }

  /** Asking is repeated while the owner is replaced: it changes nothing. @throws GatewayError DEADLINE_EXCEEDED */
  async #ask(question: Question, deadlineMs: number): Promise<unknown> {
    const { clock, mesh, ownership } = this.parts;
    const end = clock.monotonicMs() + deadlineMs;
    for (;;) {
      const here = this.#answer(question);
      if (here !== undefined) return here;
      const leftMs = end - clock.monotonicMs();
      if (leftMs <= 0) throw new GatewayError('DEADLINE_EXCEEDED', { accountId: question.accountId });
      const owner = ownership.ownerOf(question.accountId)?.slot;
      if (owner !== undefined && owner !== mesh.slot) {
        const reply = await mesh
          .call(owner, 'order-events', { header: question }, { deadlineMs: leftMs })
          .catch((cause: unknown) => this.#goneOrThrow(cause));
        if (reply !== undefined && reply.header !== null) return reply.header;
      }
      await ownership.nextChange((done) => clock.after(Math.min(RECHECK_MS, leftMs), done));
    }
  }

  #goneOrThrow(cause: unknown): undefined {
    if (cause instanceof GatewayError && cause.code === 'PEER_GONE') return undefined;
    throw cause;
  }

  #answer(question: Question): EventPosition | ResumedEvents | undefined {
    const { desk, local } = this.parts;
    if (!local.has(question.accountId)) return undefined;
    if (question.ask === 'position') return desk.position(question.accountId);
    return desk.eventsAfter(question.accountId, question.after);
  }

  #tell(event: OrderEvent): void {
    for (const listen of this.#listeners) listen(event);
  }
}
