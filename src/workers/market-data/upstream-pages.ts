/** Pages of one upstream question, followed token by token until there is none, enough was read, or one fails. */
import type { Problem } from '../../kernel/domain/problem.js';
import type { Page } from '../../threads/tasks.js';
import { peekPageToken } from './page-peek.js';
import { wordsOf, type UpstreamAnswer, type UpstreamClient } from './upstream-client.js';

export type PagesAnswer =
  | { readonly kind: 'ok'; readonly pages: readonly Page[]; readonly source: string }
  | { readonly kind: 'problem'; readonly problem: Problem };

export interface PagesRequest {
  /** Without limit and page token. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly firstToken?: string;
  readonly deadlineMs: () => number;
  readonly asksOwnFeed: boolean;
  /** Pages that only a thread looks at as a whole. */
  readonly inPieces?: boolean;
  /** How many items to ask for next, given the pages so far; 0 ends it. */
  readonly limit: (pages: readonly Page[]) => number;
  readonly pagesMax: number;
}

export async function readPages(upstream: UpstreamClient, request: PagesRequest): Promise<PagesAnswer> {
  const pages: Page[] = [];
  let token = request.firstToken;
  let source = 'rest';
  while (pages.length < request.pagesMax) {
    const limit = request.limit(pages);
    if (limit <= 0) break;
    const query = new URLSearchParams(request.query);
    query.set('limit', String(limit));
    if (token !== undefined) query.set('page_token', token);
    const answer = await upstream.get({
      host: 'data',
      path: `${request.path}?${query.toString()}`,
      deadlineMs: request.deadlineMs(),
      asksOwnFeed: request.asksOwnFeed,
      ...(request.inPieces === true && { inPieces: true }),
    });
    const refusal = refusalOf(answer);
    if (refusal !== undefined) return { kind: 'problem', problem: refusal };
    if (answer.kind === 'problem') return answer;
    const page = answer.pieces ?? [answer.body];
    pages.push(page);
    source = answer.source;
    token = peekPageToken(page);
    if (token === undefined) break;
  }
  return { kind: 'ok', pages, source };
}

/** What an answer other than 200 means for the caller; undefined for a 200. */
export function refusalOf(answer: UpstreamAnswer): Problem | undefined {
  if (answer.kind === 'problem') return answer.problem;
  if (answer.status === 200) return undefined;
  const alpaca = wordsOf(answer);
  if (answer.status === 404) return { code: 'symbol-not-found', detail: 'the broker knows no such symbol', alpaca };
  return { code: 'venue-rejected', detail: 'the broker refused the request', status: answer.status, alpaca };
}
