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
import { createHash } from 'node:crypto';
import type { SessionState } from '../../kernel/domain/account-request.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { BrokerWire, KeyPair } from '../alpaca/broker-wire.js';
import type { TradeStreamOptions } from '../alpaca/trade-stream.js';
import type { AccountSession, BrokerAccount, TradeUpdate } from './account-session.js';
import { BrokerReader } from './broker-reader.js';
import { BudgetedCalls, type KeysVerdict } from './budgeted-calls.js';
import { findGap, NOTHING_TOLD, type ToldBefore } from './gap-repair.js';
import { Mirror } from './mirror.js';
import { isTerminal, mirroredOf, textOf, type BrokerObject, type Mirrored } from './mirrored.js';
import { RateBudget, type RateBudgetOptions } from './rate-budget.js';
import { changeKey, SeenUpdates } from './seen-updates.js';
import { OrderWatch } from './order-watch.js';
import { PublishedFills } from './published-fills.js';
import { SessionReads } from './session-reads.js';
import { UnsettledOrders } from './unsettled-orders.js';
import { TradeStreamSuccession } from './trade-stream-succession.js';
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
const IDENTIFY_RETRY_MS = 500;
const ENDED_UNTOLD_MAX = 1_000;

/** Words that the broker says once of an order: whoever tells the second time tells no news. */
const ONCE_AN_ORDER = new Set(['pending_new', 'new', 'canceled', 'expired', 'replaced', 'rejected']);

export class BrokerSession implements AccountSession {
  readonly accountId: AccountId;
  readonly epoch: number;
  readonly mirror: Mirror;
  readonly #calls: BudgetedCalls;
  readonly #reads: SessionReads;
  readonly #reader: BrokerReader;
  readonly #seen = new SeenUpdates();
  readonly #published = new PublishedFills();
  readonly #watch: OrderWatch;
  readonly #unsettled: UnsettledOrders;
  /** Broker time since which every event is known, RFC 3339; undefined before the first sync. */
  #trackedSince: string | undefined;
  readonly #updateListeners = new Set<(update: TradeUpdate) => void>();
  readonly #stateListeners = new Set<(state: SessionState) => void>();
  readonly #stop = new AbortController();
  #state: SessionState = 'connecting';
  readonly #stream: TradeStreamSuccession;
  #isStreamUp = false;
  /** Rises whenever the stream comes or goes: what was read under an earlier one proves nothing. */
  #turn = 0;
  #firstUpAt: string | undefined;
  #told: ToldBefore = NOTHING_TOLD;
  /** Broker or wall time up to which everything is known; undefined before the first sync of a fresh account. */
  #knownUntil: string | undefined;
  #waiting: HeardUpdate[] | undefined;
  #isWaitingFull = false;
  readonly #endedUntold = new Set<string>();
  #reconciling: Promise<void> | undefined;
  #noteTried: () => void = () => undefined;
  #keys: KeyPair;
  #failure: string | undefined;
  #brokerAccount: BrokerAccount | undefined;
  readonly #accountListeners = new Set<(account: BrokerAccount) => void>();
  /** Resolves when the account has been tried once: in sync, or refused. */
  readonly tried: Promise<void>;

  constructor(
    options: SessionOptions,
    private readonly ports: SessionPorts,
  ) {
    const { wire, clock, meter } = ports;
    this.accountId = options.accountId;
    this.#keys = options.keys;
    this.epoch = options.epoch;
    this.mirror = new Mirror(clock);
    this.#calls = new BudgetedCalls(wire, new RateBudget(options.budget, clock), clock, meter);
    this.#unsettled = new UnsettledOrders(clock);
    this.#reads = new SessionReads(this.mirror, this.#calls, this.#unsettled, { clock, meter });
    this.#reader = new BrokerReader(this.#calls, 'lookup');
    this.tried = new Promise((resolve) => (this.#noteTried = resolve));
    this.#watch = this.#newWatch();
    this.#stream = new TradeStreamSuccession(
      options.stream,
      {
        onUp: () => this.#streamUp(),
        onDown: (end) => this.#streamDown(end),
        onAlive: () => this.mirror.noteAlive(),
        onUpdate: (frame) => this.#hear(frame),
      },
      clock,
      ports.jitter,
    );
  }

  /** Opens the stream. Listeners must be there: what is heard from now on is told once. */
  start(told: ToldBefore = NOTHING_TOLD): void {
    if (this.#stop.signal.aborted) return;
    this.#told = told;
    this.#knownUntil = told.lastEventAt;
    this.#trackedSince = told.keptSince;
    for (const fill of told.fills) this.#published.note(fill);
    for (const order of told.working) this.mirror.orders.put(order);
    this.#stream.open(this.#keys);
  }

  /**
   * Goes on under another key pair of the same account. Calls and the stream go by the old one until the new one has been
   * seen to work; when this resolves, nothing needs the old one. Any verdict but `same account` leaves the session as it was.
   */
  async rotate(keys: KeyPair, wire: BrokerWire): Promise<KeysVerdict> {
    const verdict = await this.#calls.tryKeys(wire, this.#brokerAccount?.id ?? '');
    if (verdict !== 'same account' || this.#stop.signal.aborted) return verdict;
    await Promise.all([this.#calls.useWire(wire), this.#stream.succeed(keys)]);
    this.#keys = keys;
    if (this.#brokerAccount !== undefined) this.#publishAccount(this.#brokerAccount);
    return verdict;
  }

  get keysId(): string {
    return keysIdOf(this.#keys);
  }

  brokerAccount(): BrokerAccount | undefined {
    return this.#brokerAccount;
  }

  onBrokerAccount(listen: (account: BrokerAccount) => void): () => void {
    this.#accountListeners.add(listen);
    return () => this.#accountListeners.delete(listen);
  }

  /**
   * Asks the broker whose keys these are until it says so. To be used before `start`, where nothing of the account may
   * be shown until it is known. Undefined when the session was closed first.
   */
  async identify(): Promise<BrokerAccount | undefined> {
    while (!this.#stop.signal.aborted) {
      const reply = await this.#reader.get('/v2/account');
      const account = reply?.status === 200 ? mirroredOf(Buffer.from(reply.body).toString()) : undefined;
      if (account !== undefined && textOf(account.value, 'id') !== '') {
        this.#noteAccount(account);
        return this.#brokerAccount;
      }
      if (reply?.status === 401 || reply?.status === 403) this.#enter('failed');
      this.#noteTried();
      await this.ports.clock.sleep(IDENTIFY_RETRY_MS * (1 + this.ports.jitter()), this.#stop.signal);
    }
    return undefined;
  }

  state(): SessionState {
    return this.#state;
  }

  /** Until it is closed: the broker is asked nothing any more, and reads are refused with this reason. */
  async fail(code: string, detail: string): Promise<void> {
    this.#failure = detail;
    this.#stop.abort();
    this.#calls.noteError(code, detail);
    this.#enter('failed');
    await this.close();
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

  readonly send: AccountSession['send'] = async (call) => {
    const reply = await this.#calls.send(call);
    this.#unsettled.note(call, reply, () => this.mirror.orders.working().map(({ value }) => textOf(value, 'id')));
    return reply;
  };

  readonly read: AccountSession['read'] = (read, freshness, options) =>
    this.#failure === undefined
      ? this.#reads.read(read, freshness, options)
      : Promise.resolve({ kind: 'problem', problem: { code: 'account-unavailable', detail: this.#failure } });

  noteOrder(order: BrokerObject, text = JSON.stringify(order)): void {
    const mirrored = mirroredOf(text);
    if (mirrored === undefined) return;
    this.#watch.answered(mirrored);
    if (!this.mirror.orders.put(mirrored)) return;
    const [id, status] = [textOf(order, 'id'), textOf(order, 'status')];
    // A fill is told by its execution; any other end is not told yet only because it is known.
    const isEnd = isTerminal(status) && status !== 'filled';
    if (isEnd && !this.#seen.has(changeKey(id, status, 'told'))) this.#endedUntold.add(id);
    const [oldest] = this.#endedUntold;
    if (oldest !== undefined && this.#endedUntold.size > ENDED_UNTOLD_MAX) this.#endedUntold.delete(oldest);
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
    await this.#stream.close();
    await this.#reconciling;
    this.mirror.inSync = false;
    this.#noteTried();
  }

  #noteAccount({ value }: Mirrored): void {
    const account = { id: textOf(value, 'id'), number: textOf(value, 'account_number') };
    if (account.id === '' || account.id === this.#brokerAccount?.id) return;
    this.#brokerAccount = account;
    this.#publishAccount(account);
  }

  #publishAccount(account: BrokerAccount): void {
    for (const listen of this.#accountListeners) this.#tell(() => listen(account));
  }

  #newWatch(): OrderWatch {
    const { clock, log, meter } = this.ports;
    const { accountId } = this;
    return new OrderWatch({
      ...{ reader: this.#reader, clock, book: this.mirror.orders, published: this.#published },
      isInSync: () => this.mirror.inSync,
      isTracked: ({ value }) => textOf(value, 'submitted_at') > (this.#trackedSince ?? '\uffff'),
      isPublished: ({ value }) => {
        const [id, status] = [textOf(value, 'id'), textOf(value, 'status')];
        return this.#seen.has(changeKey(id, status, 'told')) || this.#told.lastEventOf(id) === status;
      },
      pass: (update) => this.#pass(update),
      brokerNow: () => this.#calls.brokerTimeAt(clock.monotonicMs()),
      stop: this.#stop.signal,
      corrected: (kind, facts) => {
        meter.count('opitios_mirror_corrections_total', { kind });
        log.warn({ accountId, kind, ...facts }, 'the stream did not bring what the broker has');
      },
    });
  }

  #enter(state: SessionState): void {
    if (state === this.#state || (this.#failure !== undefined && state !== 'failed')) return;
    this.#state = state;
    this.ports.log.info({ accountId: this.accountId, state }, 'session state');
    for (const listen of this.#stateListeners) this.#tell(() => listen(state));
  }

  #streamUp(): void {
    this.#isStreamUp = true;
    this.#turn += 1;
    this.#firstUpAt ??= this.#brokerTime();
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
    const turn = this.#turn;
    const isCurrent = (): boolean => turn === this.#turn && !this.#stop.signal.aborted;
    while (isCurrent()) {
      if (await this.#tryReconcile(isCurrent).catch((cause: unknown) => this.#notReconciled(cause))) return;
      if (!isCurrent()) return;
      this.#enter('degraded');
      this.#noteTried();
      await this.ports.clock.sleep(RECONCILE_RETRY_MS * (1 + this.ports.jitter()), this.#stop.signal);
    }
  }

  /** What the broker sends must not end the worker; the next try reads it anew. */
  #notReconciled(cause: unknown): false {
    this.ports.log.error({ accountId: this.accountId, err: cause }, 'reconciliation failed');
    return false;
  }

  async #tryReconcile(isCurrent: () => boolean): Promise<boolean> {
    const since = this.#knownUntil;
    const asked = this.mirror.asking();
    const gap = {
      ...{ book: this.mirror.orders, seen: this.#seen, published: this.#published },
      ...{ told: this.#told, endedUntold: this.#endedUntold },
      ...(since !== undefined && { since }),
    };
    const [found, positions, account] = await Promise.all([
      findGap(this.#reader, gap),
      this.#reader.list('/v2/positions'),
      this.#reader.object('/v2/account'),
    ]);
    if (found === undefined || positions === undefined || account === undefined) return false;
    // Once more, for what ended between the first list and now; the stream brings what comes after.
    const again = since === undefined ? [] : await this.#reader.orders('open');
    if (again === undefined || !isCurrent()) return false;
    if (this.#isWaitingFull) {
      // Updates were left out, so the gap is still open; those that had room are found again and pass once.
      this.#isWaitingFull = false;
      this.#waiting = [];
      this.#knownUntil ??= this.#firstUpAt;
      return false;
    }
    this.mirror.putAccount(account, asked);
    this.#noteAccount(account);
    this.mirror.putPositions(positions.text, positions.items, asked);
    const waiting = this.#waiting ?? [];
    // What the stream is about to tell in its own words and order is not told before it.
    const heard = new Set(waiting.map(({ update, order }) => wordOf(update.event, order)));
    for (const update of found.updates(waiting))
      if (update.fills.length > 0 || !heard.has(wordOf(update.update.event, update.order))) this.#pass(update);
    for (const order of [...found.orders, ...again]) this.mirror.orders.put(order);
    this.#knownUntil = this.#brokerTime(asked.at);
    this.#trackedSince ??= this.#firstUpAt;
    this.mirror.noteAlive();
    this.mirror.inSync = true;
    this.#waiting = undefined;
    for (const update of waiting) this.#pass(update);
    for (const order of [...found.orders, ...again]) this.#watch.check(order);
    this.#watch.resume();
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
      this.#knownUntil = this.#brokerTime();
    } else if (this.#waiting.length < WAITING_MAX) this.#waiting.push(heard);
    else this.#isWaitingFull = true;
  }

  /** RFC 3339, by the broker's clock as far as it told it: a gap is asked for in its time. */
  #brokerTime(monotonicMs = this.ports.clock.monotonicMs()): string {
    return new Date(this.#calls.brokerTimeAt(monotonicMs)).toISOString();
  }

  #pass({ update, order, key, fills }: HeardUpdate): void {
    const id = textOf(order.value, 'id');
    this.#watch.received(id);
    this.#unsettled.settled(id);
    // Repair told the end of an order in its own words; the stream's own word for it is not news.
    const word = changeKey(id, update.event, 'told');
    const isKnown =
      fills.length > 0
        ? fills.every((fill) => this.#published.knows(fill))
        : (ONCE_AN_ORDER.has(update.event) && this.#seen.has(word)) || !this.#seen.note(key);
    if (isKnown) return;
    for (const fill of fills) if (!this.#published.knows(fill)) this.#published.note(fill);
    this.#seen.note(word);
    this.#endedUntold.delete(id);
    if (update.event === 'gone') this.mirror.orders.remove(id);
    else this.mirror.orders.put(order);
    if (isFill(update.event)) {
      const data = mirroredOf(update.data);
      const positionQty = data === undefined ? '' : textOf(data.value, 'position_qty');
      this.mirror.noteFill(textOf(order.value, 'symbol'), positionQty, update.timestamp);
      this.#watch.check(order);
    }
    this.ports.meter.count('opitios_trade_updates_total', { reconciled: String(update.reconciled) });
    for (const listen of this.#updateListeners) this.#tell(() => listen(update));
  }

  /** One listener's failure is its own: the others hear, and the session goes on. */
  #tell(listen: () => void): void {
    try {
      listen();
    } catch (cause) {
      this.ports.log.error({ accountId: this.accountId, err: cause }, 'a listener of the session failed');
    }
  }
}

/** A key id belongs to one brokerage account: a new secret of it changes nothing. */
function keysIdOf({ keyId }: KeyPair): string {
  return createHash('sha256').update(`opitios key ${keyId}`).digest('hex').slice(0, 32);
}

function wordOf(event: string, order: Mirrored): string {
  return changeKey(textOf(order.value, 'id'), event, 'word');
}
