/**
 * One socket of one data feed. States: connected (welcome sent, must authenticate in time), authenticated (may
 * subscribe, gets data), closed. Left by refusal (402, 404, 409: told and closed), by a slow client (407) or by the peer.
 */
import { WebSocket } from 'ws';
import type { SimClock } from '../../clock.js';
import type { Codec } from './codec.js';
import { Subscriptions, type ErrorCode, type FeedRules } from './subscriptions.js';

const MESSAGES: Readonly<Record<ErrorCode, string>> = {
  400: 'invalid syntax',
  401: 'not authenticated',
  402: 'auth failed',
  403: 'already authenticated',
  404: 'auth timeout',
  405: 'symbol limit exceeded',
  406: 'connection limit exceeded',
  407: 'slow client',
  409: 'insufficient subscription',
  410: 'invalid subscribe action for this feed',
  412: 'option messages are only available in MsgPack format',
  413: 'star subscription is not allowed for option quotes',
};

/** What a session asks of the streams that own it. */
export interface SessionHost {
  readonly clock: SimClock;
  rules(feed: string): FeedRules;
  /** The verdict on a key for this session; `undefined` means that no answer is given at all. */
  admit(session: DataSession, key: string | undefined, secret: string | undefined): 'welcome' | ErrorCode | undefined;
  isMuted(session: DataSession): boolean;
  slowClientBytes(): number;
  authTimeoutMs(): number;
  left(session: DataSession): void;
}

/** Delayed frames waiting at one session; beyond this the newest are lost, as on a congested line. */
const DELAYED_MAX = 60_000;
/** How long a peer that does not read may take to close. */
const CLOSE_GRACE_MS = 1_000;

export class DataSession {
  readonly subscriptions: Subscriptions;
  accountId: string | undefined;
  key: string | undefined;
  isAuthenticated = false;
  #delayed = 0;
  #isSlow = false;
  readonly #cancelTimeout: () => void;

  constructor(
    readonly feed: string,
    readonly codec: Codec,
    private readonly socket: WebSocket,
    private readonly host: SessionHost,
  ) {
    this.subscriptions = new Subscriptions(host.rules(feed).isOption);
    socket.on('message', (data: Buffer) => this.#receive(data));
    socket.on('ping', (data) => {
      if (!host.isMuted(this)) socket.pong(data);
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', () => {
      this.#cancelTimeout();
      host.left(this);
    });
    this.#cancelTimeout = host.clock.after(host.authTimeoutMs(), () => {
      if (!this.isAuthenticated) this.refuse(404);
    });
    this.#control({ T: 'success', msg: 'connected' });
  }

  /** By message or by handshake headers. */
  authenticate(key: string | undefined, secret: string | undefined): void {
    if (this.isAuthenticated) {
      this.#error(403);
      return;
    }
    const verdict = this.host.admit(this, key, secret);
    if (verdict === undefined) return;
    if (verdict === 'welcome') {
      this.isAuthenticated = true;
      this.#cancelTimeout();
      this.#control({ T: 'success', msg: 'authenticated' });
      return;
    }
    // After 406 the same socket may try again; every other refusal is final.
    if (verdict === 406) this.#error(406);
    else this.refuse(verdict);
  }

  /** Tells why and closes. */
  refuse(code: ErrorCode): void {
    this.#error(code);
    this.close(false);
  }

  close(isAbrupt: boolean): void {
    if (isAbrupt) {
      this.socket.terminate();
      return;
    }
    this.socket.close(1000);
    this.host.clock.after(CLOSE_GRACE_MS, () => this.socket.terminate());
  }

  /** One frame of encoded records, now or after a delay. */
  deliver(parts: readonly Buffer[], delayMs: number): void {
    const frame = this.codec.join(parts);
    if (delayMs <= 0) {
      this.#send(frame);
      return;
    }
    if (this.#delayed >= DELAYED_MAX) return;
    this.#delayed += 1;
    this.host.clock.after(delayMs, () => {
      this.#delayed -= 1;
      this.#send(frame);
    });
  }

  #receive(data: Buffer): void {
    let message: unknown;
    try {
      message = this.codec.decode(data);
    } catch {
      this.#error(400);
      return;
    }
    if (typeof message !== 'object' || message === null) {
      this.#error(400);
      return;
    }
    const fields = message as Readonly<Record<string, unknown>>;
    const action = fields['action'];
    if (action === 'auth') this.authenticate(textOf(fields['key']), textOf(fields['secret']));
    else if (action !== 'subscribe' && action !== 'unsubscribe') this.#error(400);
    else if (!this.isAuthenticated) this.#error(401);
    else {
      const refusal = this.subscriptions.change(action, fields, this.host.rules(this.feed));
      if (refusal === undefined) this.#control(this.subscriptions.state());
      else this.#error(refusal);
    }
  }

  #error(code: ErrorCode): void {
    this.#control({ T: 'error', code, msg: MESSAGES[code] });
  }

  /** Control messages come alone in their frame. */
  #control(record: Readonly<Record<string, unknown>>): void {
    this.#send(this.codec.join([this.codec.encode(record)]));
  }

  #send(frame: Buffer): void {
    if (this.socket.readyState !== WebSocket.OPEN || this.host.isMuted(this)) return;
    if (this.socket.bufferedAmount > this.host.slowClientBytes() && !this.#isSlow) {
      this.#isSlow = true;
      this.refuse(407);
      return;
    }
    this.socket.send(frame, { binary: this.codec.isBinary });
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
