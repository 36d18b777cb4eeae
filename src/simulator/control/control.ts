/**
 * The hand of a test or a demo on the venue: read its truth, change its mind, break its answers. The same methods are
 * served over HTTP by control-door.ts. Amounts are decimal strings. Unknown accounts and orders throw ControlError.
 *
 * Switches are described in faults/fault.ts, the healthy behaviour in venue/behaviour.ts.
 */
import type { AccountKeys, Keys } from '../accounts.js';
import type { SimClock } from '../clock.js';
import type { StreamMount } from '../doors.js';
import type { ActiveSwitch, Switch } from '../faults/fault.js';
import type { FaultTable } from '../faults/fault-table.js';
import type { MarketView } from '../market/market.js';
import type { MarketFaults } from '../market/market-faults.js';
import type { RateLimit } from '../rate-limit.js';
import type { TradeStream } from '../streams/trade-stream.js';
import type { Account, Execution } from '../venue/account.js';
import type { Behaviour } from '../venue/behaviour.js';
import { parseNano, type Nano } from '../venue/decimal.js';
import { fillPrice } from '../venue/matching.js';
import type { Order } from '../venue/order.js';
import type { Venue } from '../venue/venue.js';
import type { Counters, CounterReport } from './counters.js';
import type { Ledger, LedgerFilter, LedgerPage } from './ledger.js';
import { venueOrderOf, type VenueOrder } from './venue-order.js';

/** A request to the control door that makes no sense: names the thing that is missing. */
export class ControlError extends Error {}

export interface ControlParts {
  readonly venue: Venue;
  readonly market: MarketView;
  readonly keys: Keys;
  readonly clock: SimClock;
  readonly ledger: Ledger;
  readonly counters: Counters;
  readonly faults: FaultTable;
  readonly limits: { readonly trading: RateLimit; readonly data: RateLimit };
  readonly tradeStream: TradeStream;
  readonly marketFaults: MarketFaults;
  readonly streams: readonly StreamMount[];
  readonly startingCash: Nano;
  readonly cutConnections: () => number;
}

/** What JSON can say about `MarketFaults`: lists for its sets, a duration for its deadline. */
export type MarketFaultChange = Partial<Omit<MarketFaults, 'refusedKeys' | 'mutedFeeds' | 'connectionLimitUntil'>> & {
  readonly refusedKeys?: readonly string[];
  readonly mutedFeeds?: readonly string[];
  readonly connectionLimitForMs?: number;
};

export class Control {
  readonly #parts: ControlParts;
  readonly #accounts: AccountKeys[] = [];

  constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  // --- accounts ---

  accounts(): readonly AccountKeys[] {
    return [...this.#accounts];
  }

  /** The next free `account_NNN` unless named. `cash` defaults to the simulator's starting cash. */
  addAccount(accountId?: string, cash?: string): AccountKeys {
    const { keys, venue, startingCash } = this.#parts;
    const id = accountId ?? this.#nextAccountId();
    if (venue.book.account(id) !== undefined) throw new ControlError(`account ${id} exists`);
    venue.addAccount(id, cash === undefined ? startingCash : amount(cash));
    const issued = keys.issue(id);
    this.#accounts.push(issued);
    return issued;
  }

  /** One more pair for an account that has one: both work until one is revoked. */
  issueKeys(accountId: string): AccountKeys {
    this.#account(accountId);
    return this.#parts.keys.issue(accountId);
  }

  /** Streams that were opened under the pair stay, as nothing is known of the broker's cutting them. */
  revokeKeys(apiKey: string): void {
    if (!this.#parts.keys.revokePair(apiKey)) throw new ControlError('no such key');
  }

  /** Revokes the keys and cuts the streams; orders stay in the venue's books. */
  removeAccount(accountId: string): void {
    this.#account(accountId);
    this.#parts.keys.revoke(accountId);
    this.dropStreams([accountId], true);
    const at = this.#accounts.findIndex((account) => account.accountId === accountId);
    if (at >= 0) this.#accounts.splice(at, 1);
  }

  /** Flags of the account object that stop new orders. */
  blockAccount(accountId: string, flags: { account?: boolean; trading?: boolean; status?: string }): void {
    const account = this.#account(accountId);
    if (flags.account !== undefined) account.accountBlocked = flags.account;
    if (flags.trading !== undefined) account.tradingBlocked = flags.trading;
    if (flags.status !== undefined) account.status = flags.status;
  }

  /** A broken key is answered 401 on REST and unauthorized on streams until mended. */
  breakKey(accountId: string, isBroken = true): void {
    if (!this.#parts.keys.setBroken(accountId, isBroken)) throw new ControlError(`no keys of ${accountId}`);
    if (isBroken) this.dropStreams([accountId], false);
  }

  /** Sets or removes (quantity 0) a position without an order. Negative is short. */
  setPosition(accountId: string, symbol: string, qty: string, averageEntry: string): void {
    const account = this.#account(accountId);
    const instrument = this.#parts.venue.tape.instrument(symbol);
    if (instrument === undefined) throw new ControlError(`no instrument ${symbol}`);
    account.positions.delete(instrument.symbol);
    if (amount(qty) === 0n) return;
    account.positions.set(instrument.symbol, {
      symbol: instrument.symbol,
      assetId: instrument.id,
      assetClass: instrument.assetClass,
      exchange: instrument.exchange,
      multiplier: instrument.multiplier,
      marginable: instrument.isMarginable,
      qty: amount(qty),
      averageEntry: amount(averageEntry),
    });
  }

  /** Every share becomes `factor` of them, without an event: the position alone shows it. */
  splitPosition(accountId: string, symbol: string, factor: string): void {
    const account = this.#account(accountId);
    const position = account.positions.get(symbol);
    if (position === undefined) return;
    account.rememberPositions();
    const qty = (position.qty * amount(factor)) / 1_000_000_000n;
    const averageEntry = (position.averageEntry * 1_000_000_000n) / amount(factor);
    account.positions.set(symbol, { ...position, qty, averageEntry });
  }

  setCash(accountId: string, cash: string): void {
    this.#account(accountId).cash = amount(cash);
  }

  // --- the venue's own truth ---

  /** Every order in submission order, children included. */
  orders(filter: { accountId?: string; clientOrderId?: string; status?: string } = {}): readonly VenueOrder[] {
    const found: VenueOrder[] = [];
    for (const order of this.#parts.venue.book.orders()) {
      if (filter.accountId !== undefined && order.accountId !== filter.accountId) continue;
      if (filter.clientOrderId !== undefined && order.clientOrderId !== filter.clientOrderId) continue;
      if (filter.status !== undefined && order.status !== filter.status) continue;
      found.push(venueOrderOf(order));
    }
    return found;
  }

  /** How many orders each account has: cheap under load. */
  orderCounts(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const order of this.#parts.venue.book.orders()) counts[order.accountId] = (counts[order.accountId] ?? 0) + 1;
    return counts;
  }

  order(orderId: string): VenueOrder {
    return venueOrderOf(this.#order(orderId));
  }

  executions(accountId?: string): readonly Execution[] {
    const all = this.#parts.venue.book.executions;
    return accountId === undefined ? [...all] : all.filter((execution) => execution.accountId === accountId);
  }

  ledger(filter: LedgerFilter = {}): LedgerPage {
    return this.#parts.ledger.list(filter);
  }

  clearLedger(): void {
    this.#parts.ledger.clear();
  }

  /** `count` keeps numbers only: for load. */
  setLedgerMode(mode: 'full' | 'count'): void {
    this.#parts.ledger.setMode(mode);
  }

  counters(): CounterReport {
    return this.#parts.counters.report();
  }

  resetCounters(): void {
    this.#parts.counters.resetRequests();
  }

  // --- faults ---

  /** One switch or a whole script; answers the ids. */
  switchOn(spec: Switch | readonly Switch[]): readonly number[] {
    const specs = Array.isArray(spec) ? (spec as readonly Switch[]) : [spec as Switch];
    return specs.map((each) => this.#parts.faults.on(each));
  }

  /** One switch by id, or all. Events that a hold kept back go out now. */
  switchOff(id?: number): number {
    return this.#parts.faults.off(id);
  }

  switches(): readonly ActiveSwitch[] {
    return this.#parts.faults.list();
  }

  /** Trade and data streams of these accounts, of all when undefined. Abrupt: TCP reset, no close frame. */
  dropStreams(accounts?: readonly string[], abrupt = true): number {
    return this.#parts.streams.reduce((sum, mount) => sum + mount.drop(accounts, abrupt), 0);
  }

  /** The in-stream error action, then a clean close. */
  failTradeStreams(accounts?: readonly string[]): number {
    return this.#parts.tradeStream.fail(accounts);
  }

  /** Raw text to the account's listening trade streams. */
  injectTradeUpdate(accountId: string, text: string): number {
    return this.#parts.tradeStream.inject(accountId, text);
  }

  /** Resets every TCP connection to the venue, idle ones in pools included. */
  cutConnections(): number {
    return this.#parts.cutConnections();
  }

  /** Plan and faults of the data side (market/market-faults.ts). Lists replace what was there. */
  setMarketFaults({ refusedKeys, mutedFeeds, connectionLimitForMs, ...change }: MarketFaultChange): void {
    const { marketFaults, clock } = this.#parts;
    Object.assign(marketFaults, change);
    if (refusedKeys !== undefined) refill(marketFaults.refusedKeys, refusedKeys);
    if (mutedFeeds !== undefined) refill(marketFaults.mutedFeeds, mutedFeeds);
    if (connectionLimitForMs !== undefined) marketFaults.connectionLimitUntil = clock.now() + connectionLimitForMs;
  }

  // --- behaviour ---

  behave(change: Partial<Behaviour>): Behaviour {
    const { isOpen, ...rest } = change;
    Object.assign(this.#parts.venue.behaviour, rest);
    if (isOpen !== undefined) this.#parts.venue.setOpen(isOpen);
    return { ...this.#parts.venue.behaviour };
  }

  /** Requests per minute and key; for one account, or for all without a limit of their own. */
  setRateLimit(perMinute: number, accountId?: string, surface: 'trading' | 'data' = 'trading'): void {
    this.#parts.limits[surface].set(perMinute, accountId);
  }

  /** Executes now, whatever the market says. Quantity: all that is left; price: limit, else the market's last. */
  fill(orderId: string, { qty, price }: { qty?: string; price?: string } = {}): VenueOrder {
    const { venue } = this.#parts;
    const order = this.#order(orderId);
    const at = price === undefined ? marketPrice(venue, order) : amount(price);
    const left = order.qtyNano === null ? 0n : order.qtyNano - order.filledQty;
    const notional = order.terms.notional === null ? 0n : amount(order.terms.notional);
    const size = qty === undefined ? (order.qtyNano === null ? (notional * 1_000_000_000n) / at : left) : amount(qty);
    if (size <= 0n) throw new ControlError(`order ${orderId} has nothing left to fill`);
    venue.executor.fill(order, size, at);
    return venueOrderOf(order);
  }

  reject(orderId: string): VenueOrder {
    return this.#end(orderId, 'rejected');
  }

  expire(orderId: string): VenueOrder {
    return this.#end(orderId, 'expired');
  }

  /** The venue cancels on its own (e.g. a corporate action). */
  cancel(orderId: string): VenueOrder {
    return this.#end(orderId, 'canceled');
  }

  /** Sends an event about an order without changing it: `done_for_day`, `stopped`, `order_cancel_rejected`, … */
  tell(orderId: string, event: string, extra?: Record<string, unknown>): void {
    this.#parts.venue.executor.tell(event, this.#order(orderId), extra);
  }

  /** The opening or closing auction: fills what was sent for it at the market's last price. */
  auction(timeInForce: 'opg' | 'cls'): number {
    const waiting = [...this.#parts.venue.book.orders()].filter(
      (order) => order.terms.timeInForce === timeInForce && order.status === 'accepted',
    );
    for (const order of waiting) {
      this.#parts.venue.executor.enter(order, 'new');
      this.fill(order.id);
    }
    return waiting.length;
  }

  setPrice(symbol: string, price: number): void {
    this.#parts.market.setPrice(symbol, price);
  }

  /** Turns the clock. */
  advance(ms: number): number {
    this.#parts.clock.advance(ms);
    return this.#parts.clock.now();
  }

  now(): number {
    return this.#parts.clock.now();
  }

  #end(orderId: string, status: 'canceled' | 'expired' | 'rejected'): VenueOrder {
    const order = this.#order(orderId);
    this.#parts.venue.executor.end(order, status);
    return venueOrderOf(order);
  }

  #order(orderId: string): Order {
    const order = this.#parts.venue.book.order(orderId);
    if (order === undefined) throw new ControlError(`no order ${orderId}`);
    return order;
  }

  #account(accountId: string): Account {
    const account = this.#parts.venue.book.account(accountId);
    if (account === undefined) throw new ControlError(`no account ${accountId}`);
    return account;
  }

  #nextAccountId(): string {
    let number = this.#accounts.length + 1;
    const name = (): string => `account_${String(number).padStart(3, '0')}`;
    while (this.#parts.venue.book.account(name()) !== undefined) number += 1;
    return name();
  }
}

function refill(set: Set<string>, values: readonly string[]): void {
  set.clear();
  for (const value of values) set.add(value);
}

function marketPrice(venue: Venue, order: Order): Nano {
  const limit = order.terms.limitPrice;
  const price = limit === null ? (fillPrice(order, venue.tape) ?? venue.tape.last(order.terms.symbol)) : amount(limit);
  if (price === undefined || price === 0n) throw new ControlError(`no price for ${order.terms.symbol}`);
  return price;
}

function amount(text: string): Nano {
  const value = parseNano(text);
  if (value === undefined) throw new ControlError(`not a decimal: ${text}`);
  return value;
}
