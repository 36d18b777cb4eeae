/** Answers of the primary's own, as the doors pass them on. */
import type { AccountAnswer, SessionReport } from '../kernel/domain/account-request.js';
import type { ProblemCode } from '../kernel/domain/problem.js';

export function json(value: unknown, status = 200): AccountAnswer {
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  return { kind: 'answer', status, headers, body: Buffer.from(JSON.stringify(value)) };
}

export function problem(code: ProblemCode, detail: string): AccountAnswer {
  return { kind: 'problem', problem: { code, detail } };
}

/** An account in `/pool`. */
export function accountOf(report: SessionReport, owner: number): unknown {
  return {
    account_id: report.accountId,
    state: report.state,
    trading_state: report.tradingState,
    owner,
    last_success_age_ms: report.lastSuccessAgeMs ?? null,
    last_error: report.lastError ?? null,
    budget: report.budget ?? null,
    open_unknown: report.openUnknown,
    stream_connected: report.streamConnected,
  };
}
