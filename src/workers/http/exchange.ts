/** One request on its way through the edge: what is known of it so far. It is settled (counted, logged) exactly once. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { Principal } from '../../kernel/domain/permissions.js';
import type { Span } from '../../kernel/runtime/tracer.js';
import type { Route } from './routes/route.js';

export class Exchange {
  route: Route | undefined = undefined;
  principal: Principal | undefined = undefined;
  accountId: AccountId | undefined = undefined;
  queueMs = 0;
  meshMs = 0;
  upstreamMs = 0;
  /** 0 until an answer has been chosen. */
  status = 0;
  /** The problem code of a refusal, for the log. */
  problemCode: string | undefined = undefined;
  /** Further answer headers, name and value in turn: rate limits, for one. */
  readonly extraHeaders: string[] = [];
  /** The connection ends with this answer. */
  mustClose = false;
  settled = false;
  /** Held until the request is settled (request-places.ts). */
  place: RequestPlace | undefined = undefined;
  /** Its connection is busy with it until this is called (connection-places.ts). */
  leaveConnection: (() => void) | undefined = undefined;
  /** The body as it came, once it has been read: another instance may have to answer. */
  rawBody: Uint8Array | undefined = undefined;
  /** Only where traces are recorded. */
  span: Span | undefined = undefined;

  constructor(
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
    readonly startedMs: number,
    readonly ids: RequestIds,
  ) {}
}

export type RequestPlace = { readonly kind: 'anonymous'; readonly address: string } | { readonly kind: 'verified' };

export interface RequestIds {
  readonly requestId: string;
  readonly traceId: string;
  /** Somebody keeps this trace: its caller named it, or we record it. */
  readonly isTraced: boolean;
  /** Ours, a child of the caller's. */
  readonly traceparent: string;
}

const CARRIED: unique symbol = Symbol('exchange');

interface Carrier {
  [CARRIED]?: Exchange;
}

export function carry(on: object, exchange: Exchange): void {
  (on as Carrier)[CARRIED] = exchange;
}

export function carriedBy(on: object): Exchange | undefined {
  return (on as Carrier)[CARRIED];
}
