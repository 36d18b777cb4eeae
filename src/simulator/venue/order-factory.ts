/** Makes order records out of accepted drafts, children included. No checks: the gates came before. */
import { costOf } from './account-rules.js';
import type { Account } from './account.js';
import { parseNano } from './decimal.js';
import type { Timestamps } from './instant.js';
import type { Order, OrderStatus, OrderTerms } from './order.js';
import type { OrderDraft } from './order-draft.js';
import type { OrderBook } from './order-book.js';
import type { SeededRandom } from './seeded-random.js';
import type { Instrument, Tape } from './tape.js';

export interface FactoryParts {
  readonly book: OrderBook;
  readonly tape: Tape;
  readonly random: SeededRandom;
  readonly timestamps: Timestamps;
}

/** What the order is born with besides its terms. */
export interface Birth {
  readonly clientOrderId: string;
  readonly status: OrderStatus;
  readonly nowMs: number;
  readonly visibleAt: number;
  readonly reserve: bigint;
  readonly parent?: Order;
  readonly replaces?: Order;
}

/** GTC orders live 90 days. */
const GTC_LIFE_MS = 90 * 86_400_000;

export class OrderFactory {
  constructor(private readonly parts: FactoryParts) {}

  /** The order and its children, all entered in the book. */
  create(account: Account, draft: OrderDraft, instruments: readonly Instrument[], birth: Birth): Order {
    const terms = termsOf(draft, instruments);
    const order = this.make(
      account,
      { ...terms, positionIntent: terms.positionIntent ?? intentOf(account, terms) },
      birth,
    );
    if (draft.orderClass === 'mleg')
      order.legs = this.#multilegs(account, draft, instruments, { ...birth, parent: order });
    else order.legs = this.#exits(account, draft, order, birth);
    this.parts.book.add(order);
    for (const leg of order.legs) this.parts.book.add(leg);
    return order;
  }

  make(account: Account, terms: OrderTerms, birth: Birth): Order {
    const at = this.parts.timestamps.next();
    return {
      id: this.parts.random.uuid(),
      accountId: account.accountId,
      clientOrderId: birth.clientOrderId,
      sequence: this.parts.book.nextSequence(),
      terms,
      parent: birth.parent,
      legs: [],
      status: birth.status,
      visibleAt: birth.visibleAt,
      submittedAtMs: birth.nowMs,
      createdAt: at,
      submittedAt: at,
      updatedAt: at,
      filledAt: null,
      expiredAt: null,
      expiresAt: terms.timeInForce === 'gtc' ? new Date(birth.nowMs + GTC_LIFE_MS).toISOString() : null,
      cancelRequestedAt: null,
      canceledAt: null,
      failedAt: null,
      replacedAt: null,
      replacedBy: null,
      replaces: birth.replaces?.id ?? null,
      qtyNano: terms.qty === null ? null : (parseNano(terms.qty) ?? 0n),
      reserve: birth.reserve,
      filledQty: birth.replaces?.filledQty ?? 0n,
      filledValue: birth.replaces?.filledValue ?? 0n,
      hwm: null,
      triggered: false,
    };
  }

  /** What a new order ties up: nothing when it closes a position. */
  reserveFor(account: Account, draft: OrderDraft, instrument: Instrument | undefined): bigint {
    if (instrument === undefined) return 0n;
    const position = account.positions.get(instrument.symbol)?.qty ?? 0n;
    const isClosing = draft.side === 'sell' ? position > 0n : position < 0n;
    return isClosing ? 0n : costOf(draft, instrument, this.parts.tape);
  }

  /** The take-profit and stop-loss of a bracket, oco (stop only: the parent is the profit) or oto. */
  #exits(account: Account, draft: OrderDraft, parent: Order, birth: Birth): Order[] {
    const { takeProfit, stopLoss, orderClass } = draft;
    const exit = orderClass === 'oco' ? draft.side : opposite(draft.side);
    const base: OrderTerms = {
      ...parent.terms,
      side: exit,
      limitPrice: null,
      stopPrice: null,
      positionIntent: `${exit}_to_close`,
    };
    const legs: OrderTerms[] = [];
    if (takeProfit !== undefined && orderClass !== 'oco') {
      legs.push({ ...base, type: 'limit', limitPrice: takeProfit.limitPrice });
    }
    if (stopLoss !== undefined && orderClass !== '' && orderClass !== 'simple') {
      const type = stopLoss.limitPrice === null ? 'stop' : 'stop_limit';
      legs.push({ ...base, type, stopPrice: stopLoss.stopPrice, limitPrice: stopLoss.limitPrice });
    }
    return legs.map((terms) => this.#child(account, terms, { ...birth, status: 'held', parent }));
  }

  #multilegs(account: Account, draft: OrderDraft, instruments: readonly Instrument[], birth: Birth): Order[] {
    const units = parseNano(draft.qty ?? '0') ?? 0n;
    return draft.legs.map((leg, index) => {
      const terms: OrderTerms = {
        ...termsOf(draft, instruments),
        ...placeOf(instruments[index]),
        qty: String((units * BigInt(leg.ratioQty)) / 1_000_000_000n),
        side: leg.side,
        type: '',
        limitPrice: null,
        positionIntent: leg.positionIntent,
        ratioQty: leg.ratioQty,
      };
      return this.#child(account, terms, birth);
    });
  }

  /** Children have client ids made by the venue, and tie up nothing beside their parent. */
  #child(account: Account, terms: OrderTerms, birth: Birth): Order {
    return this.make(account, terms, { ...birth, clientOrderId: this.parts.random.uuid(), reserve: 0n });
  }
}

function termsOf(draft: OrderDraft, instruments: readonly Instrument[]): OrderTerms {
  const isMultileg = draft.orderClass === 'mleg';
  return {
    ...placeOf(isMultileg ? undefined : instruments[0]),
    qty: draft.qty,
    notional: draft.notional,
    side: isMultileg ? '' : draft.side,
    type: draft.type,
    timeInForce: draft.timeInForce,
    // The parent of an oco is its take-profit.
    limitPrice: draft.orderClass === 'oco' ? (draft.takeProfit?.limitPrice ?? draft.limitPrice) : draft.limitPrice,
    stopPrice: draft.stopPrice,
    trailPrice: draft.trailPrice,
    trailPercent: draft.trailPercent,
    extendedHours: draft.extendedHours,
    orderClass: draft.orderClass,
    positionIntent: draft.positionIntent,
    ratioQty: null,
  };
}

function placeOf(
  instrument: Instrument | undefined,
): Pick<OrderTerms, 'symbol' | 'assetId' | 'assetClass' | 'multiplier'> {
  return {
    symbol: instrument?.symbol ?? '',
    assetId: instrument?.id ?? '',
    assetClass: instrument?.assetClass ?? '',
    multiplier: instrument?.multiplier ?? 1n,
  };
}

/** What the broker infers when the client does not say; nothing for the parent of a multi-leg order. */
function intentOf(account: Account, { side, symbol }: OrderTerms): string | null {
  if (side === '') return null;
  const position = account.positions.get(symbol)?.qty ?? 0n;
  const isClosing = side === 'sell' ? position > 0n : position < 0n;
  return `${side}_to_${isClosing ? 'close' : 'open'}`;
}

function opposite(side: string): string {
  return side === 'buy' ? 'sell' : 'buy';
}
