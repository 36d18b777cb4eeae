/**
 * One account's session. States:
 *
 * - connecting: begun, not in sync yet. Left for `ready` or, when the broker refuses the key, `failed`.
 * - ready: the stream is up and the mirror in sync.
 * - reconciling: the stream came back; what was missed is being read. Updates that arrive wait their turn.
 * - degraded: the stream is down, or the broker did not answer the reconciliation; tried again by itself.
 * - failed: the broker refuses the key; tried again at growing intervals, for ever.
 *
 * Calls and reads go to the broker in every state: a session without a stream still trades, and its mirror says nothing.
 */
import type { SessionState } from '../../kernel/domain/account-request.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { BrokerWire, KeyPair } from '../alpaca/broker-wire.js';
import { TradeStream, type TradeStreamOptions } from '../alpaca/trade-stream.js';
import type { AccountSession, TradeUpdate } from './account-session.js';
import { BrokerReader } from './broker-reader.js';
import { BudgetedCalls } from './budgeted-calls.js';
import { findGap, NOTHING_TOLD, type ToldBefore } from './gap-repair.js';
import { Mirror } from './mirror.js';
import { isTerminal, mirroredOf, textOf, type BrokerObject } from './mirrored.js';
import { RateBudget, type RateBudgetOptions } from './rate-budget.js';
import { changeKey, SeenUpdates } from './seen-updates.js';
import { SessionReads } from './session-reads.js';
import { isFill, parseUpdate, type HeardUpdate } from './trade-updates.js';

export interface SessionOptions {
  readonly accountId: AccountId;
  readonly epoch: number;
  readonly keys: KeyPair;
  readonly stream: Omit<TradeStreamOptions, 'keys'>;
  readonly budget: RateBudgetOptions;
}

export interface SessionPorts {
  readonly wire: BrokerWire;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly jitter: () => number;
}

/** Updates that may wait for a reconciliation; beyond, the next one will find them. */
const WAITING_MAX = 10_000;
const RECONCILE_RETRY_MS = 500;

export class BrokerSession implements AccountSession {
  readonly accountId: AccountId;
  readonly epoch: number;
  readonly mirror: Mirror;
  readonly #calls: BudgetedCalls;
  readonly #reads: SessionReads;
  readonly #reader: BrokerReader;
  readonly #seen = new SeenUpdates();
  readonly #updateListeners = new Set<(update: TradeUpdate) => void>();
  readonly #stateListeners = new Set<(state: SessionState) => void>();
  readonly #stop = new AbortController();
  #state: SessionState = 'connecting';
  #stream: TradeStream | undefined;
  #isStreamUp = false;
  /** Rises whenever the stream comes or goes: what was read under an earlier one proves nothing. */
  #turn = 0;
  #firstUpAt: string | undefined;
  #told: ToldBefore = NOTHING_TOLD;
  /** Broker or wall time up to which everything is known; undefined before the first sync of a fresh account. */
  #knownUntil: string | undefined;
  #waiting: HeardUpdate[] | undefined;
  #reconciling: Promise<void> | undefined;
  #noteTried: () => void = () => undefined;
  /** Resolves when the account has been tried once: in sync, or refused. */
  readonly tried: Promise<void>;

  constructor(
    private readonly options: SessionOptions,
    private readonly ports: SessionPorts,
  ) {
    const { wire, clock, meter } = ports;
    this.accountId = options.accountId;
    this.epoch = options.epoch;
    this.mirror = new Mirror(clock);
    this.#calls = new BudgetedCalls(wire, new RateBudget(options.budget, clock), clock, meter);
    this.#reads = new SessionReads(this.mirror, this.#calls, clock, meter);
    this.#reader = new BrokerReader(this.#calls, 'lookup');
    this.tried = new Promise((resolve) => (this.#noteTried = resolve));
  }

  /** Opens the stream. Listeners must be there: what is heard from now on is told once. */
  start(told: ToldBefore = NOTHING_TOLD): void {
    this.#told = told;
    this.#knownUntil = told.lastEventAt;
    const { keys, stream } = this.options;
    this.#stream = new TradeStream(
      { ...stream, keys },
      {
        onUp: () => this.#streamUp(),
        onDown: (end) => this.#streamDown(end),
        onAlive: () => this.mirror.noteAlive(),
        onUpdate: (frame) => this.#hear(frame),
      },
      this.ports.clock,
      this.ports.jitter,
    );
  }

  state(): SessionState {
    return this.#state;
  }

  report(): ReturnType<AccountSession['report']> {
    return {
      accountId: this.accountId,
      state: this.#state,
      ...this.#calls.health(),
      budget: this.#calls.budget.state(),
      streamConnected: this.#isStreamUp,
    };
  }

  readonly send: AccountSession['send'] = (call) => this.#calls.send(call);

  readonly read: AccountSession['read'] = (read, freshness, options) => this.#reads.read(read, freshness, options);

  noteOrder(order: BrokerObject): void {
    const mirrored = mirroredOf(JSON.stringify(order));
    if (mirrored !== undefined) this.mirror.orders.put(mirrored);
  }

  onTradeUpdate(listen: (update: TradeUpdate) => void): () => void {
    this.#updateListeners.add(listen);
    return () => this.#updateListeners.delete(listen);
  }

  onState(listen: (state: SessionState) => void): () => void {
    this.#stateListeners.add(listen);
    return () => this.#stateListeners.delete(listen);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#calls.close();
    await this.#stream?.close();
    await this.#reconciling;
    this.mirror.inSync = false;
    this.#noteTried();
  }

  #enter(state: SessionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.ports.log.info({ accountId: this.accountId, state }, 'session state');
    for (const listen of this.#stateListeners) listen(state);
  }

  #streamUp(): void {
    this.#isStreamUp = true;
    this.#turn += 1;
    this.#firstUpAt ??= new Date(this.ports.clock.now()).toISOString();
    this.mirror.noteAlive();
    // What an earlier connection brought before the session was in sync still waits to be told.
    this.#waiting ??= [];
    if (this.#state !== 'connecting') this.#enter('reconciling');
    this.#reconciling = this.#reconcile();
  }

  #streamDown(end: { readonly isRefused: boolean; readonly detail: string }): void {
    if (this.#isStreamUp || this.mirror.inSync) this.ports.meter.count('opitios_trade_stream_drops_total');
    this.#isStreamUp = false;
    this.#turn += 1;
    this.mirror.inSync = false;
    // A first sync that never came about leaves a gap like any other.
    this.#knownUntil ??= this.#firstUpAt;
    this.#calls.noteError(end.isRefused ? 'key-refused' : 'stream', end.detail);
    this.#enter(end.isRefused ? 'failed' : this.#state === 'connecting' ? 'connecting' : 'degraded');
    this.#noteTried();
  }

  /** Runs until it succeeds or the stream goes down again: then its successor does the same from the same moment. */
  async #reconcile(): Promise<void> {
    const beganAt = new Date(this.ports.clock.now()).toISOString();
    const turn = this.#turn;
    const isCurrent = (): boolean => turn === this.#turn && !this.#stop.signal.aborted;
    while (isCurrent()) {
      if (await this.#tryReconcile(beganAt, isCurrent)) return;
      if (!isCurrent()) return;
      this.#enter('degraded');
      this.#noteTried();
      await this.ports.clock.sleep(RECONCILE_RETRY_MS * (1 + this.ports.jitter()), this.#stop.signal);
    }
  }

  async #tryReconcile(beganAt: string, isCurrent: () => boolean): Promise<boolean> {
    const since = this.#knownUntil;
    const gap = { book: this.mirror.orders, seen: this.#seen, told: this.#told, ...(since !== undefined && { since }) };
    const [found, positions, account] = await Promise.all([
      findGap(this.#reader, gap),
      this.#reader.list('/v2/positions'),
      this.#reader.object('/v2/account'),
    ]);
    if (found === undefined || positions === undefined || account === undefined) return false;
    // Once more, for what ended between the first list and now; the stream brings what comes after.
    const again = since === undefined ? [] : await this.#reader.orders('open');
    if (again === undefined || !isCurrent()) return false;
    this.mirror.putAccount(account);
    this.mirror.putPositions(positions.text, positions.items);
    for (const update of found.updates) this.#pass(update);
    for (const order of [...found.orders, ...again]) this.mirror.orders.put(order);
    this.#knownUntil = beganAt;
    this.mirror.noteAlive();
    this.mirror.inSync = true;
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const update of waiting) this.#pass(update);
    this.#enter('ready');
    this.#noteTried();
    return true;
  }

  #hear(frame: Buffer): void {
    const heard = parseUpdate(frame.toString(), new Date(this.ports.clock.now()).toISOString());
    this.mirror.noteAlive();
    if (heard === undefined) {
      this.ports.log.warn({ accountId: this.accountId, bytes: frame.length }, 'trade update not readable');
      return;
    }
    if (this.#waiting === undefined) {
      this.#pass(heard);
      // The broker's own time would let two clocks decide; what is heard is known until now.
      this.#knownUntil = new Date(this.ports.clock.now()).toISOString();
    } else if (this.#waiting.length < WAITING_MAX) this.#waiting.push(heard);
  }

  #pass({ update, order, key }: HeardUpdate): void {
    const id = textOf(order.value, 'id');
    // Repair told the end of an order in its own words; the stream's own word for it is not news.
    const isToldAlready = isTerminal(update.event) && this.#seen.has(changeKey(id, update.event, 'told'));
    if ((!isFill(update.event) && isToldAlready) || !this.#seen.note(key)) return;
    this.#seen.note(changeKey(id, update.event, 'told'));
    this.mirror.orders.put(order);
    if (isFill(update.event)) {
      const data = mirroredOf(update.data);
      this.mirror.noteFill(textOf(order.value, 'symbol'), data === undefined ? '' : textOf(data.value, 'position_qty'));
    }
    this.ports.meter.count('opitios_trade_updates_total', { reconciled: String(update.reconciled) });
    for (const listen of this.#updateListeners) listen(update);
  }
}
