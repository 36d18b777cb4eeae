/** RFC 9457 documents: the one place where a refusal gets its bytes, for Express and for a bare socket alike. */
import { PROBLEMS, problemStatus, type Problem } from '../../kernel/domain/problem.js';
import { STATUS_CODES } from 'node:http';

export const PROBLEM_TYPE = 'application/problem+json';

export function problemDocument(
  problem: Problem,
  ids: { readonly requestId: string; readonly traceId?: string; readonly isTraced?: boolean },
): Record<string, unknown> {
  return {
    type: `urn:opitios:problem:${problem.code}`,
    title: PROBLEMS[problem.code].title,
    status: problemStatus(problem),
    detail: problem.detail,
    code: problem.code,
    request_id: ids.requestId,
    ...(ids.isTraced === true ? { trace_id: ids.traceId } : {}),
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
    ...(problem.alpaca === undefined ? {} : { alpaca: problem.alpaca }),
    // Last word to the table: a further member cannot pass for the status or the code.
    ...withoutReserved(problem.members),
  };
}

const RESERVED = new Set(['type', 'title', 'status', 'detail', 'code', 'request_id', 'trace_id', 'errors', 'alpaca']);

function withoutReserved(members: Problem['members']): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members ?? {}).filter(([name]) => !RESERVED.has(name)));
}

/** Header pairs that belong to the problem itself. */
export function problemHeaders(problem: Problem): string[] {
  const pairs = ['Content-Type', PROBLEM_TYPE, 'Cache-Control', 'no-store'];
  if (problem.retryAfterS !== undefined) pairs.push('Retry-After', String(Math.max(0, Math.ceil(problem.retryAfterS))));
  for (const [name, value] of Object.entries(problem.headers ?? {})) pairs.push(name, value);
  return pairs;
}

/** A whole HTTP answer for a socket whose request never became one. The connection ends with it. */
export function rawProblem(problem: Problem, requestId: string): string {
  const status = problemStatus(problem);
  const body = JSON.stringify(problemDocument(problem, { requestId }));
  const pairs = problemHeaders(problem);
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  for (let index = 0; index < pairs.length; index += 2) head += `${pairs[index]}: ${pairs[index + 1]}\r\n`;
  return `${head}X-Request-ID: ${requestId}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}
