/** May this order be sent at all? Every refusal of ours, cheapest first, before anything is written. */
import type { AccountAnswer, TradingState } from '../../kernel/domain/account-request.js';
import type { RiskConfig } from '../../kernel/config/gateway-config.js';
import type { AccountSession, MirrorView } from '../accounts/account-session.js';
import { leaseLost, notSent, problemAnswer } from './answers.js';
import type { BrokerOrder } from './core/order-match.js';
import type { IntentPlan } from './intent-plan.js';
import type { DeskPorts } from './ports.js';
import type { RefusalBreaker } from './refusal-breaker.js';
import { viewOrder } from './risk/order-view.js';
import { onlyReduces } from './risk/position-rules.js';
import type { RecentOrders } from './risk/recent-orders.js';
import { askRisk, rulesOf } from './risk/risk-gate.js';
import type { RiskAnswer, RiskQuestion } from './risk/rule.js';

/** More intents without an outcome than this: the account is in trouble, and more orders would not help it. */
const OPEN_INTENTS_MAX = 5_000;

export interface AdmissionFacts {
  readonly session: AccountSession;
  readonly ports: DeskPorts;
  readonly breaker: RefusalBreaker;
  readonly recent: RecentOrders;
  readonly risk: RiskConfig;
  readonly tradingState: TradingState;
  readonly openIntents: number;
  /** Set when this account's journal cannot be trusted, or it is being let go. */
  readonly closedBecause: string | undefined;
}

export interface Refusal {
  readonly answer: AccountAnswer;
  /** Denials are audited; what may be tried again at once is not. */
  readonly denial: RiskAnswer | undefined;
}

export function admit(plan: IntentPlan, original: BrokerOrder | undefined, facts: AdmissionFacts): Refusal | undefined {
  const { ports, session, tradingState, closedBecause } = facts;
  if (closedBecause !== undefined) return unsent('account-closed', closedBecause);
  if (tradingState === 'HALTED') return halted(tradingState);
  if (ports.fence.hasLapsed?.(session.accountId) === true) return { answer: leaseLost(), denial: undefined };
  if (!ports.fence.holds(session.accountId)) return unsent('lease', 'This instance does not own the account now.');
  const trouble = ports.journal.trouble();
  if (trouble !== undefined) return unsent('journal', trouble);
  if (!ports.audit.healthy()) return unsent('audit', 'The audit trail cannot be written now.');
  if (facts.breaker.pauseLeftMs() > 0)
    return unsent('breaker', 'The broker refuses this account; it is asked again soon.');
  if (facts.openIntents >= OPEN_INTENTS_MAX)
    return unsent('full', 'Too many orders of this account are without an outcome.');
  return askRules(plan, original, facts);
}

function askRules(plan: IntentPlan, original: BrokerOrder | undefined, facts: AdmissionFacts): Refusal | undefined {
  const { session, ports, recent, risk, tradingState, openIntents } = facts;
  const question: RiskQuestion = {
    order: viewOrder({ ...original, ...plan.body }),
    fingerprint: plan.fingerprint,
    rules: rulesOf(risk, session.accountId),
    marks: ports.marks,
    mirror: original === undefined ? session.mirror : without(session.mirror, original),
    recent,
    openIntents,
  };
  if (plan.kind === 'close') return undefined;
  const objection = (tradingState === 'REDUCING' ? onlyReduces(question) : undefined) ?? askRisk(question);
  return objection === undefined ? undefined : refuse(objection);
}

function refuse(objection: RiskAnswer): Refusal {
  if (objection.kind === 'uncertain') return unsent('risk', objection.detail);
  const { rule, detail, numbers } = objection;
  const code = rule === 'reducing' ? 'trading-halted' : 'risk-denied';
  return { answer: problemAnswer(code, detail, { members: { rule, ...numbers } }), denial: objection };
}

function halted(state: TradingState): Refusal {
  const detail = 'Trading is halted; cancels are still taken.';
  const denial: RiskAnswer = { kind: 'denied', rule: 'trading_state', detail, numbers: { state } };
  return { answer: problemAnswer('trading-halted', detail, { members: { trading_state: state } }), denial };
}

function unsent(reason: string, detail: string): Refusal {
  return { answer: notSent(reason, detail), denial: undefined };
}

/** A replacement takes the place of its original: what the original holds is free for it. */
function without(mirror: MirrorView, original: BrokerOrder): MirrorView {
  return {
    inSync: mirror.inSync,
    openOrders: () => mirror.openOrders().filter((order) => order['id'] !== original['id']),
    orderByClientOrderId: (clientOrderId) => mirror.orderByClientOrderId(clientOrderId),
    orderById: (orderId) => mirror.orderById(orderId),
    position: (symbol) => mirror.position(symbol),
    positions: () => mirror.positions(),
    account: () => mirror.account(),
  };
}
