/**
 * One GET upstream by whichever key serves now: waits for the key's budget, tells Sources what each answer means for
 * the key, and goes on with the next key when this one is refused, spent or unreachable. GETs may be repeated, so at
 * most three attempts are made within the deadline. What the status means for the caller is the caller's to decide.
 */
import type { Problem } from '../../kernel/domain/problem.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { Source, Sources } from './sources.js';
import type { UpstreamHost, WireReply } from './upstream.js';

export type UpstreamAnswer =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      /** Empty where `pieces` hold it. */
      readonly body: Uint8Array;
      readonly pieces?: readonly Uint8Array[];
      /** `rest`, or `rest:` and the stand-in's name. */
      readonly source: string;
      readonly upstreamMs: number;
    }
  | { readonly kind: 'problem'; readonly problem: Problem };

export interface UpstreamGet {
  readonly host: UpstreamHost;
  readonly path: string;
  readonly deadlineMs: number;
  /** The caller chose a feed of its own: a 403 then speaks of the feed, not of the key. */
  readonly asksOwnFeed?: boolean;
  /** The body of a 200 is for a thread. */
  readonly inPieces?: boolean;
}

const ATTEMPTS_MAX = 3;
/** With a stand-in at hand nobody waits longer than this for a key that is silent or spent. */
const HANDOVER_MS = 1_500;

export class UpstreamClient {
  constructor(
    private readonly sources: Sources,
    private readonly clock: Clock,
    private readonly meter: Meter,
  ) {}

  async get(request: UpstreamGet): Promise<UpstreamAnswer> {
    const end = this.clock.monotonicMs() + request.deadlineMs;
    let last: UpstreamAnswer = problem('broker-timeout', 'the broker did not answer in time');
    const tried = new Set<Source>();
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const left = end - this.clock.monotonicMs();
      if (left <= 0) return last;
      const usable = this.sources.usable();
      const source = usable.find((candidate) => !tried.has(candidate)) ?? usable[0] ?? this.sources.current();
      const hasOther = usable.some((candidate) => candidate !== source && !tried.has(candidate));
      const answer = await this.#attempt(source, request, hasOther ? Math.min(left, HANDOVER_MS) : left);
      if (answer.verdict === 'done') return answer.answer;
      last = answer.answer;
      // A refusal by the only key repeats itself.
      if (answer.verdict === 'next-key' && !hasOther) return last;
      if (hasOther) tried.add(source);
    }
    return last;
  }

  async #attempt(source: Source, request: UpstreamGet, withinMs: number): Promise<Verdict> {
    const budget = request.host === 'data' ? source.dataBudget : source.tradingBudget;
    const turn = await budget.take(withinMs);
    if (turn.kind === 'refused') {
      this.sources.failed(source);
      return {
        verdict: 'next-key',
        answer: problem('rate-limited', 'the market data budget is spent', { retryAfterS: turn.retryAfterS }),
      };
    }
    const startedAt = this.clock.monotonicMs();
    const reply = await source.account.wire.get(request.host, request.path, {
      deadlineMs: withinMs,
      ...(request.inPieces === true && { inPieces: true }),
    });
    const upstreamMs = this.clock.monotonicMs() - startedAt;
    this.meter.count('opitios_market_data_upstream_requests_total', {
      host: request.host,
      outcome: outcomeOf(reply),
      source: source === this.sources.usable()[0] ? 'current' : 'other',
    });
    this.meter.observe('opitios_market_data_upstream_seconds', upstreamMs / 1_000, { host: request.host });
    if (reply.kind === 'failed') {
      this.sources.failed(source);
      const code = reply.isTimeout ? 'broker-timeout' : 'broker-unreachable';
      return { verdict: 'again', answer: problem(code, reply.detail) };
    }
    budget.learn(reply.status, reply.headers);
    return this.#judge(source, request, { ...reply, upstreamMs });
  }

  #judge(source: Source, request: UpstreamGet, reply: Answered): Verdict {
    if (reply.status === 429) {
      this.sources.failed(source);
      const retryAfterS = Math.max(1, Math.ceil(source.dataBudget.waitMs() / 1_000));
      return { verdict: 'again', answer: problem('rate-limited', 'the broker limits the rate', { retryAfterS }) };
    }
    if (reply.status >= 500) {
      this.sources.failed(source);
      return {
        verdict: 'again',
        answer: problem('broker-unreadable', `the broker answered ${String(reply.status)}`, { alpaca: wordsOf(reply) }),
      };
    }
    const isKeyRefused = reply.status === 401 || reply.status === 402 || (reply.status === 403 && !request.asksOwnFeed);
    if (isKeyRefused) {
      this.sources.refused(source);
      return {
        verdict: 'next-key',
        answer: problem('market-data-unavailable', refusalOf(reply.status), { alpaca: wordsOf(reply) }),
      };
    }
    this.sources.succeeded(source);
    return {
      verdict: 'done',
      answer: { ...reply, source: this.sources.label('rest', source) },
    };
  }
}

type Answered = Extract<WireReply, { readonly kind: 'answered' }> & { readonly upstreamMs: number };

interface Verdict {
  readonly verdict: 'done' | 'again' | 'next-key';
  readonly answer: UpstreamAnswer;
}

/** A 403 may speak of the plan behind the key: it does not allow the configured feed. */
function refusalOf(status: number): string {
  return status === 403
    ? 'the broker refuses the market data key, or its plan does not allow the configured feed'
    : 'the broker refuses the market data key';
}

/** The broker's refusal as `alpaca` of a problem: its own words and every extra field. */
export function wordsOf(reply: { readonly status: number; readonly body: Uint8Array }): Record<string, unknown> {
  const text = Buffer.from(reply.body.buffer, reply.body.byteOffset, reply.body.byteLength).toString('utf8');
  try {
    const words: unknown = JSON.parse(text);
    if (typeof words === 'object' && words !== null) return { status: reply.status, ...words };
  } catch {
    // Not JSON: a page of the broker's edge.
  }
  return { status: reply.status, message: text.slice(0, 200) };
}

function problem(
  code: Problem['code'],
  detail: string,
  more: Partial<Problem> = {},
): Extract<UpstreamAnswer, { kind: 'problem' }> {
  return { kind: 'problem', problem: { code, detail, ...more } };
}

function outcomeOf(reply: WireReply): string {
  if (reply.kind === 'failed') return reply.isTimeout ? 'timeout' : 'unreachable';
  if (reply.status < 300) return 'ok';
  if (reply.status === 429) return 'limited';
  return reply.status >= 500 ? 'broken' : 'refused';
}
