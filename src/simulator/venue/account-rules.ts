/**
 * The third gate: may this account do it? Permissions, wash trades, quantity, buying power, each 403/40310000 with the
 * broker's extra fields (docs/broker-wire.md#buying-power).
 */
import { remaining, type Account } from './account.js';
import { isWhole } from './asset-rules.js';
import { centsOf, magnitude, multiply, ONE, parseNano, textOf, type Nano } from './decimal.js';
import type { Order } from './order.js';
import type { OrderDraft } from './order-draft.js';
import { forbidden, unprocessable, type Refusal } from './refusal.js';
import type { Instrument, Tape } from './tape.js';

/** undefined when nothing speaks against the order. */
export function accountRefusal(
  account: Account,
  draft: OrderDraft,
  instruments: readonly Instrument[],
  tape: Tape,
): Refusal | undefined {
  const barred = barredRefusal(account);
  if (barred !== undefined) return barred;
  if (draft.orderClass === 'mleg') return multilegRefusal(account, draft, instruments, tape);
  const instrument = instruments[0];
  if (instrument === undefined) return undefined;
  return (
    optionLevelRefusal(account, draft, instrument) ??
    washTradeRefusal(account, draft, instrument) ??
    minimumRefusal(draft, instrument, tape) ??
    quantityRefusal(account, draft, instrument, tape)
  );
}

/** Account flags that stop every new order. */
function barredRefusal(account: Account): Refusal | undefined {
  if (account.accountBlocked) return forbidden('account is blocked');
  if (account.tradingBlocked) return forbidden('trading is blocked for this account');
  if (account.configuration.suspend_trade) return forbidden('new orders are rejected by user request');
  return account.status === 'ACTIVE' ? undefined : forbidden(`account is not active: ${account.status}`);
}

/** min(approved, configured): what the account answers as options_trading_level. */
export function optionsLevel(account: Account): number {
  return Math.min(account.optionsApprovedLevel, account.configuration.max_options_trading_level);
}

function optionLevelRefusal(account: Account, draft: OrderDraft, instrument: Instrument): Refusal | undefined {
  if (instrument.option === undefined) return undefined;
  const position = account.positions.get(instrument.symbol)?.qty ?? 0n;
  const closes = draft.side === 'sell' ? position > 0n : position < 0n;
  const inferred = `${draft.side}_to_${closes ? 'close' : 'open'}`;
  if (draft.positionIntent !== null && draft.positionIntent !== inferred) {
    return unprocessable(`position intent mismatch, inferred: ${inferred}, specified: ${draft.positionIntent}`);
  }
  const level = optionsLevel(account);
  if (level === 0) return forbidden('account not authorized to trade options');
  if (!closes && draft.side === 'buy' && level < 2) return forbidden('account not eligible for level2 options trading');
  if (!closes && draft.side === 'sell') return writingRefusal(account, draft, instrument);
  return undefined;
}

/** Opening a short contract: covered by shares, or by cash for a put; uncovered is not offered. */
function writingRefusal(account: Account, draft: OrderDraft, instrument: Instrument): Refusal | undefined {
  const { option } = instrument;
  if (option === undefined) return undefined;
  const shares = (parseNano(draft.qty ?? '0') ?? 0n) * instrument.multiplier;
  if (option.right === 'call') {
    const underlying = account.positions.get(option.underlying);
    const free = underlying === undefined ? 0n : underlying.qty - account.heldForOrders(option.underlying);
    if (free >= shares) return undefined;
    return forbidden(
      `insufficient underlying qty available for covered call (required: ${textOf(shares)}, available: ${textOf(free)})`,
      { available_qty: textOf(free), required_qty: textOf(shares), symbol: instrument.symbol },
    );
  }
  const required = multiply(shares, option.strike);
  const available = cashAvailable(account);
  if (available >= required) return undefined;
  return forbidden(
    `insufficient options buying power for cash-secured put (required: ${textOf(required)}, available: ${centsOf(available)})`,
    { buying_power: centsOf(available), required_options_buying_power: textOf(required) },
  );
}

/**
 * An own order on the other side of the same symbol (docs/broker-wire.md#wash-trades). Complex orders and trailing
 * stops are exempt.
 */
function washTradeRefusal(account: Account, draft: OrderDraft, instrument: Instrument): Refusal | undefined {
  if (isExempt(draft.orderClass, draft.type)) return undefined;
  for (const order of account.open) {
    const { terms } = order;
    if (terms.symbol !== instrument.symbol || terms.side === draft.side || terms.side === '') continue;
    if (isExempt(terms.orderClass, terms.type) || order.parent !== undefined) continue;
    const refused = crossing(draft, order);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

function crossing(draft: OrderDraft, order: Order): Refusal | undefined {
  const text = 'potential wash trade detected. use complex orders';
  const ours = draft.limitPrice === null ? undefined : parseNano(draft.limitPrice);
  const theirs = order.terms.limitPrice === null ? undefined : parseNano(order.terms.limitPrice);
  if (ours === undefined || theirs === undefined) {
    return forbidden(text, { existing_order_id: order.id, reject_reason: 'opposite side market/stop order exists' });
  }
  const buy = draft.side === 'buy' ? ours : theirs;
  const sell = draft.side === 'buy' ? theirs : ours;
  if (buy < sell) return undefined;
  const reason =
    draft.side === 'buy'
      ? 'sell order exists, buy limit price should be less than existing sell limit price'
      : 'buy order exists, sell limit price should be greater than existing buy limit price';
  return forbidden(text, {
    buy_limit_price: textOf(buy),
    existing_order_id: order.id,
    reject_reason: reason,
    sell_limit_price: textOf(sell),
  });
}

function isExempt(orderClass: string, type: string): boolean {
  return (orderClass !== '' && orderClass !== 'simple') || type === 'trailing_stop';
}

function minimumRefusal(draft: OrderDraft, instrument: Instrument, tape: Tape): Refusal | undefined {
  if (instrument.option !== undefined || draft.side !== 'buy') return undefined;
  const minimum = instrument.assetClass === 'crypto' ? 10n : 1n;
  if (costOf(draft, instrument, tape) >= minimum * ONE) return undefined;
  return forbidden(`cost basis must be >= minimal amount of order ${minimum}`);
}

/** Closing takes from the position, opening from buying power; one order never does both. */
function quantityRefusal(account: Account, draft: OrderDraft, instrument: Instrument, tape: Tape): Refusal | undefined {
  const position = account.positions.get(instrument.symbol)?.qty ?? 0n;
  const isClosing = draft.side === 'sell' ? position > 0n : position < 0n;
  if (isClosing) return closingRefusal(account, draft, instrument, tape);
  if (draft.orderClass === 'oco') return forbidden('oco orders must be exit orders');
  if (draft.side === 'sell' && instrument.option === undefined) {
    const refused = shortRefusal(account, draft, instrument);
    if (refused !== undefined) return refused;
  }
  if (draft.side === 'sell' && instrument.option !== undefined) return undefined;
  return powerRefusal(account, costOf(draft, instrument, tape), instrument);
}

function closingRefusal(account: Account, draft: OrderDraft, instrument: Instrument, tape: Tape): Refusal | undefined {
  const existing = magnitude(account.positions.get(instrument.symbol)?.qty ?? 0n);
  const held = account.heldForOrders(instrument.symbol);
  const requested = sharesOf(draft, instrument, tape);
  if (requested <= existing - held) return undefined;
  const related = [...account.closing(instrument.symbol, draft.side)].map((order) => order.id);
  return forbidden(
    `insufficient qty available for order (requested: ${textOf(requested)}, available: ${textOf(existing - held)})`,
    {
      available: textOf(existing - held),
      existing_qty: textOf(existing),
      held_for_orders: textOf(held),
      related_orders: related,
      symbol: instrument.symbol,
    },
  );
}

function shortRefusal(account: Account, draft: OrderDraft, instrument: Instrument): Refusal | undefined {
  if (instrument.assetClass === 'crypto') return forbidden(`insufficient balance for ${instrument.symbol}`);
  if (account.configuration.no_shorting || account.configuration.max_margin_multiplier === '1') {
    return forbidden('account is not allowed to short');
  }
  if (!isWhole(draft.qty)) return unprocessable('fractional orders cannot be sold short');
  if (!instrument.isShortable) return unprocessable(`asset "${instrument.symbol}" cannot be sold short`);
  return undefined;
}

function powerRefusal(account: Account, cost: Nano, instrument: Instrument): Refusal | undefined {
  if (instrument.option !== undefined) {
    const available = cashAvailable(account);
    if (cost <= available) return undefined;
    return forbidden('insufficient options buying power', {
      options_buying_power: centsOf(available),
      cost_basis: centsOf(cost),
    });
  }
  const available = instrument.isMarginable ? buyingPower(account) : cashAvailable(account);
  if (cost <= available) return undefined;
  return forbidden('insufficient buying power', { buying_power: centsOf(available), cost_basis: centsOf(cost) });
}

function multilegRefusal(
  account: Account,
  draft: OrderDraft,
  legs: readonly Instrument[],
  tape: Tape,
): Refusal | undefined {
  if (optionsLevel(account) < 3) return forbidden('account not eligible to trade option spreads');
  const units = parseNano(draft.qty ?? '0') ?? 0n;
  const limit = draft.limitPrice === null ? undefined : parseNano(draft.limitPrice);
  const net = limit ?? netPrice(draft, legs, tape);
  const cost = multiply(units, net) * 100n;
  const available = cashAvailable(account);
  if (cost <= available) return undefined;
  return forbidden('insufficient options buying power', {
    options_buying_power: centsOf(available),
    cost_basis: centsOf(cost),
  });
}

/** Debit positive, credit negative, per unit and share: buys at the ask, sells at the bid. */
function netPrice(draft: OrderDraft, legs: readonly Instrument[], tape: Tape): Nano {
  let net = 0n;
  for (const [index, leg] of draft.legs.entries()) {
    const quote = tape.quote(legs[index]?.symbol ?? '');
    if (quote === undefined) continue;
    const ratio = BigInt(leg.ratioQty);
    net += leg.side === 'buy' ? quote.ask * ratio : -quote.bid * ratio;
  }
  return net;
}

function sharesOf(draft: OrderDraft, instrument: Instrument, tape: Tape): Nano {
  if (draft.qty !== null) return parseNano(draft.qty) ?? 0n;
  const price = referencePrice(draft, instrument, tape);
  const notional = parseNano(draft.notional ?? '0') ?? 0n;
  return price === 0n ? 0n : (notional * ONE) / price;
}

/** What an opening order ties up (docs/broker-wire.md#buying-power). */
export function costOf(draft: OrderDraft, instrument: Instrument, tape: Tape): Nano {
  if (draft.notional !== null) return parseNano(draft.notional) ?? 0n;
  const shares = parseNano(draft.qty ?? '0') ?? 0n;
  return multiply(shares, referencePrice(draft, instrument, tape)) * instrument.multiplier;
}

function referencePrice(draft: OrderDraft, instrument: Instrument, tape: Tape): Nano {
  const limit = draft.limitPrice ?? draft.stopPrice;
  const quote = tape.quote(instrument.symbol);
  const market = quote?.ask ?? tape.last(instrument.symbol) ?? 0n;
  const asked = limit === null ? undefined : parseNano(limit);
  if (draft.side === 'sell') {
    // Short sales count at the higher of their limit and 3 % above the ask.
    const stressed = (market * 103n) / 100n;
    return asked !== undefined && asked > stressed ? asked : stressed;
  }
  return asked ?? market;
}

/** Money that working opening orders have tied up. */
export function reserved(account: Account): Nano {
  let sum = 0n;
  for (const order of account.open) sum += order.reserve === 0n ? 0n : openShare(order);
  return sum;
}

function openShare(order: Order): Nano {
  if (order.qtyNano === null || order.qtyNano === 0n) return order.reserve;
  return (order.reserve * remaining(order)) / order.qtyNano;
}

export function cashAvailable(account: Account): Nano {
  return account.cash - reserved(account);
}

/** Starting equity times the multiplier, less what is invested at cost, less what is reserved. Never negative. */
export function buyingPower(account: Account): Nano {
  let invested = 0n;
  let equity = account.cash;
  for (const position of account.positions.values()) {
    const value = multiply(position.qty, position.averageEntry) * position.multiplier;
    equity += value;
    invested += magnitude(value);
  }
  const power = equity * BigInt(account.configuration.max_margin_multiplier) - invested - reserved(account);
  return power < 0n ? 0n : power;
}
