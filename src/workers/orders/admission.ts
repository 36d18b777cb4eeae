/** May this order be sent at all? Every refusal of ours, cheapest first, before anything is written. */
import type { AccountAnswer, TradingState } from '../../kernel/domain/account-request.js';
import type { RiskConfig } from '../../kernel/config/gateway-config.js';
import type { AccountSession } from '../accounts/account-session.js';
import { leaseLost, notSent, problemAnswer } from './answers.js';
import { printDecimal, readDecimal } from '../../kernel/domain/decimal.js';
import type { Exposure } from './exposure/exposure.js';
import type { Instrument } from '../../kernel/domain/instrument.js';
import type { DeskPorts, Mark } from './ports.js';
import type { RefusalBreaker } from './refusal-breaker.js';
import { valueOf } from './risk/order-value.js';
import type { OrderView } from './risk/order-view.js';
import { onlyReduces } from './risk/position-rules.js';
import type { RecentOrders } from './risk/recent-orders.js';
import { askRisk, rulesOf, viewOfRules } from './risk/risk-gate.js';
import type { Quote, RiskAnswer, RiskQuestion } from './risk/rule.js';

/** More intents without an outcome than this: the account is in trouble, and more orders would not help it. */
const OPEN_INTENTS_MAX = 5_000;

export interface AdmissionFacts {
  readonly session: AccountSession;
  readonly ports: DeskPorts;
  readonly breaker: RefusalBreaker;
  readonly recent: RecentOrders;
  readonly risk: RiskConfig;
  readonly tradingState: TradingState;
  readonly exposure: Exposure;
  /** By instrument key: quotes that were fetched for this order. */
  readonly fetched: ReadonlyMap<string, Mark>;
  readonly openIntents: number;
  /** Set when this account's journal cannot be trusted, or it is being let go. */
  readonly closedBecause: string | undefined;
}

/** What is to be admitted, with every instrument known. */
export interface Candidate {
  readonly order: OrderView;
  readonly likeness: string;
  /** A computed close is no risk: it can only make a position smaller. */
  readonly isClose: boolean;
}

export interface Refusal {
  readonly answer: AccountAnswer;
  /** Denials are audited; what may be tried again at once is not. */
  readonly denial: RiskAnswer | undefined;
  /** A rule could not be judged without a quote of this instrument. */
  readonly lacksQuoteOf?: Instrument;
}

export function admit(candidate: Candidate, facts: AdmissionFacts): Refusal | undefined {
  const { ports, session, tradingState, closedBecause } = facts;
  if (closedBecause !== undefined) return unsent('account-closed', closedBecause);
  if (tradingState === 'HALTED') return halted(tradingState);
  if (ports.fence.hasLapsed?.(session.accountId) === true) return { answer: leaseLost(), denial: undefined };
  if (!ports.fence.holds(session.accountId)) return unsent('lease', 'This instance does not own the account now.');
  const trouble = ports.journal.trouble();
  if (trouble !== undefined) return unsent('journal', trouble);
  if (!ports.audit.healthy()) return unsent('audit', 'The audit trail cannot be written now.');
  if (facts.breaker.pauseLeftMs() > 0)
    return unsent('breaker', 'The broker refuses this account; it is asked again soon.', facts.breaker.pauseLeftMs());
  if (facts.openIntents >= OPEN_INTENTS_MAX)
    return unsent('full', 'Too many orders of this account are without an outcome.');
  return askRules(candidate, facts);
}

/** Instrument, value and what each rule saw, for a dry run. */
export function viewOfAdmission(candidate: Candidate, facts: AdmissionFacts): Readonly<Record<string, unknown>> {
  const question = questionOf(candidate, facts);
  const { value } = question;
  return {
    instruments: candidate.order.legs.map(({ instrument: { symbol, assetClass, underlying } }) => ({
      symbol,
      asset_class: assetClass,
      underlying,
    })),
    value: value.kind === 'value' ? printDecimal(value.value) : null,
    rules: viewOfRules(question),
  };
}

function askRules(candidate: Candidate, facts: AdmissionFacts): Refusal | undefined {
  if (candidate.isClose) return undefined;
  const question = questionOf(candidate, facts);
  const objection = (facts.tradingState === 'REDUCING' ? onlyReduces(question) : undefined) ?? askRisk(question);
  return objection === undefined ? undefined : refuse(objection);
}

function questionOf({ order, likeness }: Candidate, facts: AdmissionFacts): RiskQuestion {
  const { session, recent, risk, exposure } = facts;
  const quoteOf = (instrument: Instrument): Quote | undefined => quoteFrom(instrument, facts);
  const rules = rulesOf(risk, session.accountId);
  return { order, likeness, rules, quoteOf, value: valueOf(order, quoteOf), exposure, recent };
}

/** A pair without a quote is valued as its position is. */
function quoteFrom(instrument: Instrument, { ports, fetched, exposure }: AdmissionFacts): Quote | undefined {
  const mark = fetched.get(instrument.key) ?? ports.marks.quote(instrument.symbol);
  if (mark !== undefined) {
    return { bid: readDecimal(mark.bidPrice), ask: readDecimal(mark.askPrice), ageMs: mark.ageMs };
  }
  if (instrument.assetClass !== 'crypto') return undefined;
  const price = exposure.price(instrument);
  return price === undefined ? undefined : { bid: price, ask: price, ageMs: undefined };
}

function refuse(objection: RiskAnswer): Refusal {
  if (objection.kind === 'uncertain') {
    const { reason, detail, instrument } = objection;
    return { ...unsent(reason, detail), ...(instrument !== undefined && { lacksQuoteOf: instrument }) };
  }
  const { rule, detail, numbers } = objection;
  const code = rule === 'reducing' ? 'trading-halted' : 'risk-denied';
  return { answer: problemAnswer(code, detail, { members: { rule, ...numbers } }), denial: objection };
}

function halted(state: TradingState): Refusal {
  const detail = 'Trading is halted; cancels are still taken.';
  const denial: RiskAnswer = { kind: 'denied', rule: 'trading_state', detail, numbers: { state } };
  return { answer: problemAnswer('trading-halted', detail, { members: { trading_state: state } }), denial };
}

/** @param againInMs when it will be tried again, where that is known. */
function unsent(reason: string, detail: string, againInMs = 1_000): Refusal {
  return { answer: notSent(reason, detail, Math.max(1, Math.ceil(againInMs / 1_000))), denial: undefined };
}
