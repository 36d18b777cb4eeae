/**
 * The state of an intent as a fold over its evidence: the highest that any piece of evidence proves. Pure; order,
 * repetition and lateness of evidence cannot change the result.
 *
 *   NONE       recorded, nothing sent.
 *   NOT_SENT   every attempt is proven never to have reached the broker, or was stopped at its edge. The key stays usable.
 *   REJECTED   exactly one attempt can have reached the broker, and it was refused in a complete answer. Final.
 *   UNKNOWN    anything else. Left by positive evidence only, never by silence.
 *   EXISTS     the broker says that our id is taken: the order is there, its content not seen yet.
 *   CONFLICT   our only attempt met an order under our id that is not our intent. Final.
 *   ABANDONED  unknown, and searched for in vain. Still watched.
 *   ACKED      the broker showed the order. Final; its own life (new, filled, canceled, …) goes on at the broker.
 */
import type { AttemptResult, Evidence } from './evidence.js';
import type { BrokerOrder } from './order-match.js';

/** The lattice, lowest first. */
export const INTENT_STATES = [
  'NONE',
  'NOT_SENT',
  'REJECTED',
  'UNKNOWN',
  'ABANDONED',
  'EXISTS',
  'CONFLICT',
  'ACKED',
] as const;
export type IntentState = (typeof INTENT_STATES)[number];

/** No further evidence is sought in these. ABANDONED is not among them: the order may still turn up. */
export const FINAL_STATES: ReadonlySet<IntentState> = new Set(['NOT_SENT', 'REJECTED', 'CONFLICT', 'ACKED']);

export interface Verdict {
  readonly state: IntentState;
  /** ACKED after the search had been given up (ACKED_LATE). */
  readonly late: boolean;
  /** The furthest view of the order that was seen, in ACKED. */
  readonly order?: BrokerOrder;
  /** The broker's own bytes of the answer to our attempt, when that was what proved it. */
  readonly body?: string;
  /** The broker's own bytes of `order`, when an answer to our attempt brought it. */
  readonly text?: string;
  readonly refusal?: Extract<AttemptResult, { kind: 'refused' | 'duplicate-id' }>;
  readonly notSent?: Extract<AttemptResult, { kind: 'not-sent' | 'throttled' }>;
}

export function judge(evidence: readonly Evidence[]): Verdict {
  const late = evidence.some(({ kind }) => kind === 'given-up');
  const attempts = attemptResults(evidence);
  const positive = positiveVerdict(evidence, attempts, late);
  if (positive !== undefined) return positive;

  const takenOver = evidence.some(({ kind }) => kind === 'taken-over');
  const mayHaveReached = attempts.filter(({ kind }) => kind !== 'not-sent' && kind !== 'throttled');
  const duplicate = attempts.find(({ kind }) => kind === 'duplicate-id');
  if (duplicate?.kind === 'duplicate-id') {
    const sole = mayHaveReached.length === 1 && !takenOver;
    const other = evidence.some(({ kind }) => kind === 'seen-other');
    if (sole && other) return { state: 'CONFLICT', late, refusal: duplicate };
    // The broker spoke of an id under which it shows no order: of our only attempt that is a refusal like another.
    if (sole && late) return { state: 'REJECTED', late: false, refusal: duplicate };
    return { state: late ? 'ABANDONED' : 'EXISTS', late };
  }
  if (takenOver) return { state: late ? 'ABANDONED' : 'UNKNOWN', late };
  const [first] = mayHaveReached;
  if (first === undefined) return negativeVerdict(attempts);
  if (mayHaveReached.length === 1 && first.kind === 'refused')
    return { state: 'REJECTED', late: false, refusal: first };
  return { state: late ? 'ABANDONED' : 'UNKNOWN', late };
}

/** What proves most of an attempt comes first; that it was under way proves least. */
const STRENGTH: Readonly<Record<AttemptResult['kind'], number>> = {
  accepted: 6,
  'duplicate-id': 5,
  ambiguous: 4,
  refused: 3,
  throttled: 2,
  'not-sent': 1,
  'under-way': 0,
};

/** One result an attempt: of several the strongest, of equals the text decides, so that no order of arrival can. */
function attemptResults(evidence: readonly Evidence[]): readonly AttemptResult[] {
  const results = new Map<number, AttemptResult>();
  for (const piece of evidence) {
    if (piece.kind !== 'attempt') continue;
    const known = results.get(piece.attempt);
    if (known === undefined || isStronger(piece.result, known)) results.set(piece.attempt, piece.result);
  }
  return [...results.entries()].sort(([a], [b]) => a - b).map(([, result]) => result);
}

function isStronger(result: AttemptResult, known: AttemptResult): boolean {
  const difference = STRENGTH[result.kind] - STRENGTH[known.kind];
  return difference > 0 || (difference === 0 && JSON.stringify(result) > JSON.stringify(known));
}

function positiveVerdict(
  evidence: readonly Evidence[],
  attempts: readonly AttemptResult[],
  late: boolean,
): Verdict | undefined {
  const orders: BrokerOrder[] = [];
  const texts = new Map<BrokerOrder, string>();
  let body: string | undefined;
  for (const attempt of attempts) {
    if (attempt.kind !== 'accepted') continue;
    orders.push(attempt.order);
    texts.set(attempt.order, attempt.body);
    body = attempt.body;
  }
  for (const piece of evidence) if (piece.kind === 'seen') orders.push(piece.order);
  const order = orders.reduce<BrokerOrder | undefined>(furthest, undefined);
  if (order === undefined) return undefined;
  const text = texts.get(order);
  return { state: 'ACKED', late, order, ...(body !== undefined && { body }), ...(text !== undefined && { text }) };
}

function negativeVerdict(attempts: readonly AttemptResult[]): Verdict {
  const last = attempts.at(-1);
  if (last === undefined) return { state: 'NONE', late: false };
  if (last.kind === 'not-sent' || last.kind === 'throttled') return { state: 'NOT_SENT', late: false, notSent: last };
  return { state: 'UNKNOWN', late: false };
}

/** Terminal beats working, more filled beats less, and of equals the text decides, so that no order of arrival can. */
function furthest(a: BrokerOrder | undefined, b: BrokerOrder): BrokerOrder {
  if (a === undefined) return b;
  const [left, right] = [progress(a), progress(b)];
  if (left !== right) return left > right ? a : b;
  return JSON.stringify(a) >= JSON.stringify(b) ? a : b;
}

const TERMINAL: ReadonlySet<unknown> = new Set(['filled', 'canceled', 'expired', 'replaced', 'rejected']);

export function isTerminalOrder(order: BrokerOrder): boolean {
  return TERMINAL.has(order['status']);
}

function progress(order: BrokerOrder): number {
  // Only compared with another view of the same order, so a float's precision is enough to rank them.
  const filled = Number(order['filled_qty'] ?? 0);
  return (isTerminalOrder(order) ? 1e15 : 0) + (Number.isFinite(filled) ? filled : 0);
}
