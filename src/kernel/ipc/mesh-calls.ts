/**
 * The calls that one end of a mesh connection waits for. Every call leaves the table exactly once: by its answer, its
 * deadline, its caller's cancel, or the end of the connection.
 */
import { GatewayError, type GatewayErrorCode } from '../domain/errors.js';
import type { Clock } from '../runtime/clock.js';
import type { CallOptions, MeshMessage } from './mesh.js';

interface Pending {
  readonly resolve: (message: MeshMessage) => void;
  readonly reject: (cause: GatewayError) => void;
  readonly release: () => void;
}

export class MeshCalls {
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  constructor(
    private readonly clock: Clock,
    /** Tells the peer that nobody waits any more. */
    private readonly sendCancel: (callId: number) => void,
    private readonly pendingMax: number,
  ) {}

  /** `send` hands the call to the wire; what it throws is the call's own failure. */
  start(options: CallOptions, send: (callId: number) => void): Promise<MeshMessage> {
    if (options.signal?.aborted === true) return Promise.reject(new GatewayError('CALL_CANCELED'));
    if (this.#pending.size >= this.pendingMax) return Promise.reject(new GatewayError('QUEUE_FULL'));
    const callId = this.#nextId();
    return new Promise((resolve, reject) => {
      const giveUp = (code: GatewayErrorCode): void => {
        this.sendCancel(callId);
        this.#settle(callId)?.reject(new GatewayError(code));
      };
      const cancelTimer = this.clock.after(Math.max(0, options.deadlineMs), () => giveUp('DEADLINE_EXCEEDED'));
      const onAbort = (): void => giveUp('CALL_CANCELED');
      options.signal?.addEventListener('abort', onAbort, { once: true });
      const release = (): void => {
        cancelTimer();
        options.signal?.removeEventListener('abort', onAbort);
      };
      this.#pending.set(callId, { resolve, reject, release });
      try {
        send(callId);
      } catch (cause) {
        this.#settle(callId)?.reject(
          cause instanceof GatewayError ? cause : new GatewayError('PEER_GONE', {}, { cause }),
        );
      }
    });
  }

  answered(callId: number, message: MeshMessage): void {
    // Nobody waits for a late answer: its caller was told so at the deadline.
    this.#settle(callId)?.resolve(message);
  }

  failed(callId: number, code: GatewayErrorCode): void {
    this.#settle(callId)?.reject(new GatewayError(code));
  }

  /** The peer is gone: whether it did what was asked is not known here. */
  endAll(): void {
    for (const callId of [...this.#pending.keys()]) this.failed(callId, 'PEER_GONE');
  }

  #settle(callId: number): Pending | undefined {
    const pending = this.#pending.get(callId);
    if (pending === undefined) return undefined;
    this.#pending.delete(callId);
    pending.release();
    return pending;
  }

  #nextId(): number {
    this.#lastId = (this.#lastId % 0xffff_fffe) + 1;
    return this.#lastId;
  }
}
