/**
 * `/stream`: one socket, one account, its `trade_updates` (docs/broker-wire.md#trade-stream). No welcome; authenticate,
 * listen, then events as binary frames (paper) or text (live). Knows no order; faults are asked before every frame.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { KeyRing, StreamMeter, StreamMount } from '../doors.js';
import type { FaultTable } from '../faults/fault-table.js';
import type { TradeEvent } from '../venue/trade-event.js';

export interface TradeStreamParts {
  readonly keys: KeyRing;
  readonly faults: FaultTable;
  readonly meter: StreamMeter;
  /** Milliseconds between an event and its frame. */
  readonly eventDelayMs: () => number;
  /** Binary frames carry UTF-8 JSON on the paper host, text on live. */
  readonly frames: 'binary' | 'text';
}

interface Session {
  readonly socket: WebSocket;
  accountId: string | undefined;
  isListening: boolean;
  /** Kept back by a hold switch, in order. */
  held: string[];
  /** Waiting to be overtaken by the next event (reorder switch). */
  late: string | undefined;
}

const FEED = 'stream';
/** A socket that holds back more than this loses its oldest events: the broker replays nothing either. */
const HELD_MAX = 100_000;

export class TradeStream implements StreamMount {
  readonly #parts: TradeStreamParts;
  readonly #server = new WebSocketServer({ noServer: true, autoPong: false, perMessageDeflate: false });
  readonly #sessions = new Set<Session>();
  readonly #byAccount = new Map<string, Set<Session>>();

  constructor(parts: TradeStreamParts) {
    this.#parts = parts;
    parts.faults.onChange(() => this.#releaseHeld());
  }

  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    if (new URL(req.url ?? '/', 'http://venue').pathname !== '/stream') return false;
    const refused = this.#parts.faults.onUpgrade(FEED);
    if (refused !== undefined) {
      socket.end(`HTTP/1.1 ${refused} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return true;
    }
    this.#server.handleUpgrade(req, socket, head, (opened) => this.#open(opened));
    return true;
  }

  /** Sends one event to every listening socket of its account. */
  publish(event: TradeEvent): void {
    const sessions = this.#byAccount.get(event.accountId);
    if (sessions === undefined || sessions.size === 0) return;
    const frame = JSON.stringify({ stream: 'trade_updates', data: event.data });
    const delayMs = this.#parts.eventDelayMs();
    const deliver = (): void => {
      for (const session of sessions) if (session.isListening) this.#deliver(session, frame);
    };
    if (delayMs > 0) setTimeout(deliver, delayMs).unref();
    else deliver();
  }

  /** Raw text to listening sockets: unknown events, odd fields, `data: null`. Answers how many got it. */
  inject(accountId: string, text: string): number {
    const sessions = [...(this.#byAccount.get(accountId) ?? [])].filter((session) => session.isListening);
    for (const session of sessions) this.#send(session, text);
    return sessions.length;
  }

  drop(accounts: readonly string[] | undefined, abrupt: boolean): number {
    let dropped = 0;
    for (const session of [...this.#sessions]) {
      if (accounts !== undefined && !accounts.includes(session.accountId ?? '')) continue;
      dropped += 1;
      if (abrupt) session.socket.terminate();
      else session.socket.close(1001, 'going away');
    }
    return dropped;
  }

  /** Sends the broker's in-stream error and closes, as it does before a restart of its own. */
  fail(accounts: readonly string[] | undefined): number {
    const error = JSON.stringify({ action: 'error', data: { error_message: 'internal server error' } });
    for (const session of this.#sessions) {
      if (accounts === undefined || accounts.includes(session.accountId ?? '')) this.#send(session, error);
    }
    return this.drop(accounts, false);
  }

  async close(): Promise<void> {
    for (const session of this.#sessions) session.socket.terminate();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #open(socket: WebSocket): void {
    const session: Session = { socket, accountId: undefined, isListening: false, held: [], late: undefined };
    this.#sessions.add(session);
    socket.on('message', (data: Buffer) => this.#receive(session, data));
    socket.on('ping', (data) => {
      if (!this.#parts.faults.isMuted(FEED, session.accountId)) socket.pong(data);
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', () => {
      this.#sessions.delete(session);
      if (session.accountId === undefined) return;
      this.#byAccount.get(session.accountId)?.delete(session);
      this.#parts.meter.closed(FEED, session.accountId);
    });
  }

  #receive(session: Session, data: Buffer): void {
    const message = parse(data);
    const body = message?.['data'];
    const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
    switch (message?.['action']) {
      case 'authenticate':
        this.#authenticate(session, fields['key_id'], fields['secret_key']);
        return;
      case 'auth':
        this.#authenticate(session, message['key'], message['secret']);
        return;
      case 'listen':
        this.#listen(session, fields['streams']);
        return;
      default:
        this.#send(session, JSON.stringify({ action: 'error', data: { error_message: 'invalid message' } }));
    }
  }

  #authenticate(session: Session, key: unknown, secret: unknown): void {
    const owner = this.#parts.keys.ownerOf(textOf(key), textOf(secret));
    const verdict = this.#parts.faults.onAuthenticate(FEED, owner?.accountId);
    if (verdict === 'never') return;
    if (verdict === 'close') {
      session.socket.terminate();
      return;
    }
    if (owner === undefined || verdict === 'unauthorized') {
      this.#send(session, authorization('unauthorized', 'authenticate'));
      session.socket.close(1008, 'unauthorized');
      return;
    }
    if (session.accountId === undefined) this.#join(session, owner.accountId);
    this.#send(session, authorization('authorized', 'authenticate'));
  }

  #join(session: Session, accountId: string): void {
    session.accountId = accountId;
    const sessions = this.#byAccount.get(accountId) ?? new Set();
    sessions.add(session);
    this.#byAccount.set(accountId, sessions);
    this.#parts.meter.opened(FEED, accountId);
  }

  /** Replaces the whole set; names that do not exist are left out of the acknowledgement. */
  #listen(session: Session, streams: unknown): void {
    if (session.accountId === undefined) {
      this.#send(session, authorization('unauthorized', 'listen'));
      return;
    }
    const wanted = Array.isArray(streams) && streams.includes('trade_updates');
    session.isListening = wanted;
    this.#send(session, JSON.stringify({ stream: 'listening', data: { streams: wanted ? ['trade_updates'] : [] } }));
  }

  #deliver(session: Session, frame: string): void {
    const { faults } = this.#parts;
    if (faults.isEmpty && session.held.length === 0 && session.late === undefined) {
      this.#write(session, frame);
      return;
    }
    const has = (kind: 'stream-hold' | 'stream-lose' | 'stream-duplicate' | 'stream-reorder'): boolean =>
      faults.stream(kind, FEED, session.accountId) !== undefined;
    if (has('stream-lose')) return;
    if (has('stream-hold')) {
      if (session.held.length >= HELD_MAX) session.held.shift();
      session.held.push(frame);
      return;
    }
    if (session.late === undefined && has('stream-reorder')) {
      session.late = frame;
      return;
    }
    this.#send(session, frame);
    if (has('stream-duplicate')) this.#send(session, frame);
    if (session.late === undefined) return;
    this.#send(session, session.late);
    session.late = undefined;
  }

  /** A change of switches may have ended a hold or a reorder: what waited goes out now. */
  #releaseHeld(): void {
    for (const session of this.#sessions) {
      if (session.held.length === 0 && session.late === undefined) continue;
      const waiting = session.late === undefined ? session.held : [session.late, ...session.held];
      if (this.#isWaiting(session.accountId)) continue;
      session.held = [];
      session.late = undefined;
      for (const frame of waiting) this.#send(session, frame);
    }
  }

  #isWaiting(accountId: string | undefined): boolean {
    return this.#parts.faults
      .list()
      .some(
        ({ fault, accounts }) =>
          (fault.kind === 'stream-hold' || fault.kind === 'stream-reorder') &&
          (accounts === undefined || accounts.includes(accountId ?? '')),
      );
  }

  #send(session: Session, text: string): void {
    if (this.#parts.faults.isMuted(FEED, session.accountId)) return;
    this.#write(session, text);
  }

  #write({ socket }: Session, text: string): void {
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(text, { binary: this.#parts.frames === 'binary' });
  }
}

function authorization(status: string, action: string): string {
  return JSON.stringify({ stream: 'authorization', data: { status, action } });
}

function parse(data: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(data.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
