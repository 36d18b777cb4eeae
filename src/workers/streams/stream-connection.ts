/**
 * One client's socket. It is in one of these states:
 *
 * - unauthenticated: no token came with the upgrade. Entered at most for `authTimeoutMs`; only `auth` is heard.
 * - open: entered by a good token. Left when the token ends (4401), the client floods (4429), does not read its order
 *   events (4408) or does not answer a ping (1013), or the worker drains (1012).
 * - closed: for ever; nothing is subscribed any more.
 *
 * Messages are handled one after the other: an acknowledgement always tells the state after its own action.
 */
import type { RawData, WebSocket } from 'ws';
import type { TokenVerifier } from '../../kernel/auth/token-verifier.js';
import type { Principal } from '../../kernel/domain/permissions.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { MarketReader } from './audience.js';
import { parseClientMessage, type ClientMessage } from './client-message.js';
import { ClientSubscriptions, type RecordKind, type SubscriptionDeps } from './client-subscriptions.js';
import { ControlLimit } from './control-limit.js';
import { Outbox } from './outbox.js';
import { CLOSE_CODES, errorText, type StreamErrorRecord } from './stream-codes.js';

export interface ConnectionLimits {
  readonly flushIntervalMs: number;
  readonly authTimeoutMs: number;
  readonly controlMessagesPerSecond: number;
  readonly subscriptionsMax: number;
  readonly bufferedBytesMax: number;
  readonly orderBacklogMax: number;
}

export interface ConnectionDeps extends SubscriptionDeps {
  readonly verifier: TokenVerifier;
  readonly log: Log;
  readonly meter: Meter;
  /** A token was accepted: whether its subject may hold one more socket. */
  readonly admit: (subject: string) => boolean;
  readonly onClosed: (connection: StreamConnection) => void;
}

export class StreamConnection implements MarketReader {
  readonly #subscriptions: ClientSubscriptions;
  readonly #outbox: Outbox;
  readonly #limit: ControlLimit;
  readonly #cancelAuthTimeout: () => void;
  #principal: Principal | undefined;
  #handling: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    private readonly socket: WebSocket,
    principal: Principal | undefined,
    limits: ConnectionLimits,
    private readonly deps: ConnectionDeps,
  ) {
    const { clock } = deps;
    this.#principal = principal;
    this.#limit = new ControlLimit(limits.controlMessagesPerSecond, clock.monotonicMs());
    this.#outbox = new Outbox(
      socket,
      { ...limits, backlogMax: limits.orderBacklogMax, onOverflow: () => this.#closeAsSlow() },
      clock,
    );
    this.#subscriptions = new ClientSubscriptions(this, limits, deps, {
      send: (text, kind, onSent) => this.#send(text, kind, onSent),
      error: (error) => this.#answerError(error),
      flush: () => this.#outbox.flush(),
    });
    this.#cancelAuthTimeout = clock.after(limits.authTimeoutMs, () => {
      if (this.#principal === undefined) this.#refuse({ code: 'auth-required' }, CLOSE_CODES.unauthenticated);
    });
    socket.on('message', (data, isBinary) => this.#hear(data, isBinary));
    // Each is answered by the library: as good a flood as any.
    socket.on('ping', () => this.#isWithinLimit());
    socket.on('pong', (payload) => this.#hearPong(payload));
    socket.on('error', (cause) => deps.log.debug({ cause: cause.message }, 'stream socket error'));
    socket.on('close', (code) => this.#end(code));
  }

  get subject(): string | undefined {
    return this.#principal?.subject;
  }

  get isAuthenticated(): boolean {
    return this.#principal !== undefined;
  }

  takeFrame(frame: Buffer, records: number): boolean {
    if (!this.#outbox.takeFrame(frame)) return false;
    this.deps.meter.count('opitios_stream_records_total', { kind: 'market_data' }, records);
    return true;
  }

  hasRoom(): boolean {
    return this.#outbox.hasRoom();
  }

  /** Once a second: the token's end, accounts that are no more, accounts that came. */
  checkToken(): void {
    if (this.#principal === undefined) return;
    // The tolerance for other clocks lets a token in a little late; it does not make an open socket outlive its token.
    const hasEnded = this.#principal.expiresAt * 1000 <= this.deps.clock.now();
    if (hasEnded || !this.deps.verifier.stillValid(this.#principal)) {
      this.#refuse({ code: 'token-ended' }, CLOSE_CODES.unauthenticated);
      return;
    }
    this.#subscriptions.follow(this.#principal);
  }

  ping(): void {
    this.#outbox.ping();
  }

  /** To be called at a steady pace. @param checksMax so many times after a ping without an answer, the socket ends */
  checkReader(checksMax: number): void {
    if (this.#closed || this.#outbox.checksUnanswered() < checksMax) return;
    this.close(CLOSE_CODES.noPong, 'no pong');
    this.socket.terminate();
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#outbox.flush();
    this.socket.close(code, reason);
    this.#end(code);
    // A peer that does not read will not answer the close either.
    this.deps.clock.after(2_000, () => this.socket.terminate());
  }

  #hear(data: RawData, isBinary: boolean): void {
    if (!this.#isWithinLimit()) return;
    if (isBinary || !Buffer.isBuffer(data)) {
      this.#answerError({ code: 'message-malformed' });
      return;
    }
    const message = parseClientMessage(data.toString('utf8'));
    this.#handling = this.#handling
      .then(() => this.#handle(message))
      .catch((cause: unknown) => {
        this.deps.log.warn({ cause: String(cause) }, 'stream action failed');
        this.#answerError({ code: 'unavailable' });
      });
  }

  /** Counts a frame of the client's; one too many ends the socket. False also when it has ended. */
  #isWithinLimit(): boolean {
    if (this.#closed) return false;
    if (this.#limit.allow(this.deps.clock.monotonicMs())) return true;
    this.#refuse({ code: 'rate-limited' }, CLOSE_CODES.flooding);
    return false;
  }

  #hearPong(payload: Buffer): void {
    const lagMs = this.#outbox.pong(payload.toString('latin1'));
    if (lagMs === undefined) this.#isWithinLimit();
    else this.deps.meter.observe('opitios_stream_lag_seconds', lagMs / 1000);
  }

  async #handle(message: ClientMessage): Promise<void> {
    if (this.#closed) return;
    if (message.kind === 'refused') {
      this.#answerError(message.error);
      return;
    }
    if (message.kind === 'auth') {
      await this.#authenticate(message.token);
      return;
    }
    if (this.#principal === undefined) {
      this.#refuse({ code: 'auth-required' }, CLOSE_CODES.unauthenticated);
      return;
    }
    if (message.kind === 'ping') {
      this.#send('{"type":"pong"}', 'control');
      return;
    }
    const refusal = await this.#act(message, this.#principal);
    if (refusal !== undefined) this.#answerError(refusal);
  }

  async #act(
    message: Exclude<ClientMessage, { kind: 'refused' | 'auth' | 'ping' }>,
    principal: Principal,
  ): Promise<StreamErrorRecord | undefined> {
    if (message.kind === 'resume') return this.#subscriptions.resume(message.accountId, message.after, principal);
    if (message.kind === 'subscribe') return this.#subscriptions.add(message.lists, principal);
    this.#subscriptions.remove(message.lists);
    return undefined;
  }

  async #authenticate(token: string): Promise<void> {
    let principal: Principal;
    try {
      principal = this.deps.verifier.known(token) ?? (await this.deps.verifier.verify(token));
    } catch {
      // A renewal that fails leaves the token that holds; a first one that fails ends the socket.
      if (this.#principal === undefined) this.#refuse({ code: 'auth-failed' }, CLOSE_CODES.unauthenticated);
      else this.#answerError({ code: 'auth-failed' });
      return;
    }
    if (this.#principal !== undefined && this.#principal.subject !== principal.subject) {
      this.#answerError({ code: 'auth-subject-differs' });
      return;
    }
    if (this.#principal === undefined && !this.deps.admit(principal.subject)) {
      this.#refuse({ code: 'subscription-limit', detail: 'too many sockets' }, CLOSE_CODES.flooding);
      return;
    }
    this.#principal = principal;
    this.#subscriptions.follow(principal);
    this.#subscriptions.acknowledge();
  }

  #send(text: string, kind: RecordKind, onSent?: () => void): void {
    this.#outbox.add(text, onSent);
    this.deps.meter.count('opitios_stream_records_total', { kind });
  }

  #answerError(error: StreamErrorRecord): void {
    this.deps.meter.count('opitios_stream_errors_total', { code: error.code });
    this.#send(errorText(error), 'control');
    this.#outbox.flush();
  }

  #refuse(error: StreamErrorRecord, closeCode: number): void {
    this.#answerError(error);
    this.close(closeCode, error.code);
  }

  #closeAsSlow(): void {
    if (this.#closed) return;
    const positions = this.#subscriptions.positions();
    // Past the backlog: the socket's own buffer takes these last words, and the close frame after them.
    this.socket.send(errorText({ code: 'slow-reader', members: { positions } }));
    this.close(CLOSE_CODES.slowReader, 'slow-reader');
  }

  #end(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelAuthTimeout();
    this.#outbox.close();
    this.#subscriptions.close();
    this.deps.meter.count('opitios_stream_closed_total', { code: knownCode(code) });
    this.deps.onClosed(this);
  }
}

/** A client chooses its close code: only those that we know become a label. */
function knownCode(code: number): string {
  const known = [1000, 1001, 1006, 1007, 1009, ...Object.values(CLOSE_CODES)];
  return known.includes(code) ? String(code) : 'other';
}
