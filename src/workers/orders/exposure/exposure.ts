/**
 * What an account's orders hold of its positions and counts, at this moment: each order exactly once, whether it works
 * at the broker, is under way, has no outcome, or was acknowledged by an answer whose event has not arrived. The rule
 * is 'Reservations' in docs/order-protocol.md. It is read and acted on without an await between, so that any
 * interleaving of requests is as if they had come one after another.
 */
import type { MirrorView } from '../../accounts/account-session.js';
import {
  absolute,
  addDecimals,
  compareDecimals,
  printDecimal,
  readDecimal,
  subtractDecimals,
  ZERO,
  type Decimal,
} from '../../../kernel/domain/decimal.js';
import { replacedBy, type BrokerOrder } from '../core/order-match.js';
import type { Instrument } from '../../../kernel/domain/instrument.js';
import type { LiveIntent } from '../live-intent.js';
import { viewOrder, type OrderView } from '../risk/order-view.js';
import type { AnsweredFills } from './answered-fills.js';

type Side = 'buy' | 'sell';

export interface ExposureParts {
  readonly mirror: MirrorView;
  readonly live: readonly LiveIntent[];
  readonly answered: AnsweredFills;
  readonly instrumentOf: (name: string) => Instrument | undefined;
}

/** What an order may still trade of one instrument. */
interface Leaves {
  readonly instrument: Instrument;
  readonly side: Side;
  /** Undefined: ordered by value, so that it may be all there is. */
  readonly qty: Decimal | undefined;
}

/** Proven not to be at the broker. */
const NOTHING_SENT: ReadonlySet<string> = new Set(['NOT_SENT', 'REJECTED', 'CONFLICT']);

export class Exposure {
  constructor(
    private readonly parts: ExposureParts,
    /** The order that a replacement takes the place of: what it holds is free for its successor. */
    private readonly replacedId?: string,
  ) {}

  get isKnown(): boolean {
    return this.parts.mirror.inSync;
  }

  /** Orders that work or may work. Ways out of one order that wait for each other count once. */
  openOrders(): number {
    return this.#working().length + this.#underWay().filter((live) => !this.#isSuccessor(live)).length;
  }

  /** The order that it replaces counts still. */
  #isSuccessor({ intent: { kind, path } }: LiveIntent): boolean {
    return kind === 'replace' && this.parts.mirror.orderById(replacedBy(path))?.['status'] !== 'replaced';
  }

  /** Signed. */
  held(instrument: Instrument): Decimal {
    return readDecimal(this.#position(instrument)?.['qty']) ?? ZERO;
  }

  /** Held by orders of this side; undefined when that is not known, so that it may be everything. */
  reserved(instrument: Instrument, side: Side): Decimal | undefined {
    let sum = this.parts.answered.qty(instrument.key, side);
    for (const leaves of this.#allLeaves()) {
      if (leaves.instrument.key !== instrument.key || leaves.side !== side) continue;
      if (leaves.qty === undefined) return undefined;
      sum = addDecimals(sum, leaves.qty);
    }
    return sum;
  }

  /** What this side can still take off the position. */
  available(instrument: Instrument, side: Side): Decimal {
    const held = this.held(instrument);
    const closes = side === 'sell' ? held : { digits: -held.digits, scale: held.scale };
    const reserved = this.reserved(instrument, side);
    if (reserved === undefined || compareDecimals(closes, ZERO) <= 0) return ZERO;
    const left = subtractDecimals(closes, reserved);
    return compareDecimals(left, ZERO) < 0 ? ZERO : left;
  }

  price(instrument: Instrument): Decimal | undefined {
    return readDecimal(this.#position(instrument)?.['current_price']);
  }

  #position(instrument: Instrument): BrokerOrder | undefined {
    const { mirror, instrumentOf } = this.parts;
    return mirror
      .positions()
      .find(({ symbol }) => typeof symbol === 'string' && instrumentOf(symbol)?.key === instrument.key);
  }

  /** Of two ways out the broker holds one back until the other ends: that one trades nothing. */
  #working(): readonly BrokerOrder[] {
    return this.parts.mirror.openOrders().filter(({ id, status }) => status !== 'held' && id !== this.replacedId);
  }

  /** Not in the mirror yet, and not proven to be nowhere. */
  #underWay(): readonly LiveIntent[] {
    const { mirror, live } = this.parts;
    return live.filter(
      ({ clientOrderId, verdict }) =>
        !NOTHING_SENT.has(verdict.state) && mirror.orderByClientOrderId(clientOrderId) === undefined,
    );
  }

  *#allLeaves(): Generator<Leaves> {
    for (const order of this.#working()) yield* this.#leavesOf(order, filledOf(order));
    for (const { intent, body } of this.#underWay()) {
      if (intent.kind === 'replace') yield* this.#heldByReplacement(intent.path, body);
      else yield* this.#leavesOf(body, ZERO);
    }
  }

  #leavesOf(order: BrokerOrder, filled: Decimal): readonly Leaves[] {
    const view = viewOrder(order, this.parts.instrumentOf);
    return view === undefined ? [] : leavesOf(view, filled);
  }

  /** The original counts while it works, and its replacement only beyond it; once it has given way, all of its successor. */
  #heldByReplacement(path: string, body: BrokerOrder): readonly Leaves[] {
    const original = this.parts.mirror.orderById(replacedBy(path));
    if (original === undefined) return [];
    const [asked, before] = [readDecimal(body['qty']), readDecimal(original['qty'])];
    if (original['status'] === 'replaced') {
      return this.#leavesOf(
        asked === undefined ? original : { ...original, qty: printDecimal(asked) },
        filledOf(original),
      );
    }
    if (asked === undefined || before === undefined) return [];
    const more = subtractDecimals(asked, before);
    return compareDecimals(more, ZERO) <= 0 ? [] : this.#leavesOf({ ...original, qty: printDecimal(more) }, ZERO);
  }
}

function leavesOf(view: OrderView, filled: Decimal): readonly Leaves[] {
  return view.legs.flatMap(({ instrument, side, ratio }): readonly Leaves[] => {
    if (side === undefined) return [];
    if (view.qty === undefined) return [{ instrument, side, qty: undefined }];
    const left = subtractDecimals(absolute(view.qty), filled);
    if (compareDecimals(left, ZERO) <= 0) return [];
    return [{ instrument, side, qty: { digits: left.digits * ratio.digits, scale: left.scale + ratio.scale } }];
  });
}

function filledOf(order: BrokerOrder): Decimal {
  return readDecimal(order['filled_qty']) ?? ZERO;
}
