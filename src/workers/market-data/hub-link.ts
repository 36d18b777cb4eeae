/**
 * This worker's way to the hub, wherever it runs: here, at a peer, or for a moment nowhere, while its worker is being
 * replaced. Callers wait a short while for a new owner instead of failing.
 */
import { GatewayError } from '../../kernel/domain/errors.js';
import type { Problem } from '../../kernel/domain/problem.js';
import type { Mesh, MeshMessage } from '../../kernel/ipc/mesh.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import { silentTracer, traced, type Tracer } from '../../kernel/runtime/tracer.js';
import type { HubReply, HubRequest } from './hub-protocol.js';

/** How long a caller waits for a hub that is being replaced, at most. */
const OWNER_WAIT_MS = 2_000;
const OWNER_POLL_MS = 50;

export interface HubAnswer {
  readonly reply: Exclude<HubReply, { readonly op: 'not-hub' }>;
  readonly body?: Uint8Array;
  readonly meshMs?: number;
}

export interface LocalHub {
  answer(request: HubRequest, isLocal: boolean): Promise<MeshMessage & { readonly header: HubReply }>;
}

export interface HubLinkParts {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly tracer?: Tracer;
  /** Slot of the master's owner, as the ownership table has it now. */
  readonly hubSlot: () => number | undefined;
  readonly localHub: () => LocalHub | undefined;
}

export class HubLink {
  constructor(private readonly parts: HubLinkParts) {}

  /** Never rejects: what went wrong is a problem. */
  async ask(request: HubRequest, deadlineMs: number, signal?: AbortSignal): Promise<HubAnswer> {
    const { clock } = this.parts;
    const startedAt = clock.monotonicMs();
    const ownerWaitMs = Math.min(OWNER_WAIT_MS, deadlineMs);
    for (;;) {
      const spent = clock.monotonicMs() - startedAt;
      try {
        const answer = await this.#once(request, deadlineMs - spent, signal);
        if (answer !== undefined) return answer;
      } catch (cause) {
        const problem = problemOf(cause);
        // Only a missing owner is worth another try; the broker may have been asked, but a read harms nobody.
        if (problem.code !== 'owner-unavailable') return { reply: { op: 'problem', problem } };
      }
      if (clock.monotonicMs() - startedAt >= ownerWaitMs || signal?.aborted === true) {
        return { reply: { op: 'problem', problem: { ...OWNER_GONE } } };
      }
      await clock.sleep(OWNER_POLL_MS, signal);
    }
  }

  /** undefined while nobody is the hub. */
  async #once(request: HubRequest, deadlineMs: number, signal?: AbortSignal): Promise<HubAnswer | undefined> {
    const slot = this.parts.hubSlot();
    if (slot === undefined) return undefined;
    if (slot === this.parts.mesh.slot) {
      const hub = this.parts.localHub();
      if (hub === undefined) return undefined;
      return unpack(await this.#within(hub.answer(request, true), deadlineMs, signal));
    }
    const startedAt = this.parts.clock.monotonicMs();
    const options = { deadlineMs, ...(signal !== undefined && { signal }) };
    const message = await traced(this.parts.tracer ?? silentTracer, ['client', 'mesh ask'], (span) => {
      span?.set({ 'opitios.request': request.op, 'opitios.owner': slot });
      const header = span === undefined ? request : { ...request, traceparent: span.traceparent };
      return this.parts.mesh.call(slot, 'market-data', { header }, options);
    });
    const answer = unpack(message);
    return answer === undefined ? undefined : { ...answer, meshMs: this.parts.clock.monotonicMs() - startedAt };
  }

  async #within<T>(promise: Promise<T>, deadlineMs: number, signal?: AbortSignal): Promise<T> {
    const over = new AbortController();
    const leave = (): void => {
      over.abort();
    };
    signal?.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([
        promise,
        this.parts.clock.sleep(Math.max(0, deadlineMs), over.signal).then((): never => {
          throw new GatewayError(signal?.aborted === true ? 'CALL_CANCELED' : 'DEADLINE_EXCEEDED');
        }),
      ]);
    } finally {
      leave();
      signal?.removeEventListener('abort', leave);
    }
  }
}

const OWNER_GONE: Problem = {
  code: 'market-data-unavailable',
  detail: 'the worker that owns market data is being replaced',
  retryAfterS: 1,
};

function unpack(message: MeshMessage): HubAnswer | undefined {
  const reply = message.header as HubReply;
  if (reply.op === 'not-hub') return undefined;
  return { reply, ...(message.body !== undefined && { body: message.body }) };
}

function problemOf(cause: unknown): Problem {
  const code = cause instanceof GatewayError ? cause.code : undefined;
  switch (code) {
    case 'DEADLINE_EXCEEDED':
    case 'CALL_CANCELED':
      return { code: 'broker-timeout', detail: 'market data did not come in time' };
    case 'QUEUE_FULL':
      return { code: 'overloaded', detail: 'too many market data requests are waiting', retryAfterS: 1 };
    case 'PEER_GONE':
      return { code: 'owner-unavailable', detail: 'the worker that owns market data is gone' };
    default:
      return { code: 'internal-error', detail: 'market data failed' };
  }
}
