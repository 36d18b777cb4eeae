/** Reading an account's audit trail: itself an event in the trail. */
import type { AccountAnswer, AccountRequest, CallContext } from '../../kernel/domain/account-request.js';
import { AUDIT_KINDS, type AuditKind, type AuditLog, type AuditQuery } from '../../kernel/audit/audit-log.js';
import { jsonAnswer } from './answers.js';

type AuditRequest = Extract<AccountRequest, { readonly kind: 'read-audit' }>;

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

/**
 * @param since wall milliseconds: records before are of another brokerage account, and are not shown
 * @throws GatewayError AUDIT_BROKEN
 */
export async function readAudit(
  audit: AuditLog,
  request: AuditRequest,
  context: CallContext,
  since: number,
): Promise<AccountAnswer> {
  const { accountId, query } = request;
  const { subject, requestId } = context;
  await audit.append({ kind: 'audit-access', accountId, subject, requestId, facts: { query } });
  const records = [];
  for await (const record of audit.read(auditQuery(request, since))) records.push(record);
  return jsonAnswer(200, { records, count: records.length });
}

function auditQuery({ accountId, query }: AuditRequest, since: number): AuditQuery {
  const { until } = query;
  const asks = query['from'];
  const isLater = asks !== undefined && Date.parse(asks) >= since;
  const from = since === 0 || isLater ? asks : new Date(since).toISOString();
  const kinds = (query['kinds'] ?? query['kind'] ?? '').split(',').filter(isAuditKind);
  const asked = Number(query['limit'] ?? LIMIT_DEFAULT);
  return {
    accountId,
    ...(from === undefined ? {} : { from }),
    ...(until === undefined ? {} : { until }),
    ...(kinds.length === 0 ? {} : { kinds }),
    limit: Number.isInteger(asked) && asked > 0 ? Math.min(asked, LIMIT_MAX) : LIMIT_DEFAULT,
  };
}

function isAuditKind(text: string): text is AuditKind {
  return AUDIT_KINDS.some((kind) => kind === text);
}
