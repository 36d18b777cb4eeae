/**
 * A route as data. The router, the OpenAPI document, the tables of docs/api.md and the authorisation tests are all made
 * from the same list, so none of them can know a route that the others do not.
 */
import type joi from 'joi';
import type { AccountRequest, CallContext, OrderNaming, TradingState } from '../../../kernel/domain/account-request.js';
import type { AccountId } from '../../../kernel/domain/identifiers.js';
import type { Permission, Principal } from '../../../kernel/domain/permissions.js';
import type { Problem } from '../../../kernel/domain/problem.js';
import type { AccountRouter } from '../../routing/account-router.js';
import type { AdminDoor } from '../../routing/admin-door.js';
import type { MarketDataAnswer, MarketDataDoor } from '../../market-data/market-data-door.js';
import type { JsonSchema } from '../schema/fields.js';

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** What is shed first under load: reads, then orders; cancels and exempt routes never. */
export type Work = 'read' | 'order' | 'cancel' | 'exempt';

export interface Route {
  /** `operationId` of the document. */
  readonly name: string;
  readonly method: Method;
  /** RFC 6570 level 1: `/api/v1/accounts/{account_id}/orders`. */
  readonly template: string;
  /** Further addresses of the same route, outside the document. */
  readonly aliases?: readonly string[];
  readonly permission: Permission | 'none';
  /** Refuses a token of some accounts: the route speaks of all of them. */
  readonly wholeInstance?: boolean;
  readonly work: Work;
  readonly tag: Tag;
  readonly summary: string;
  readonly description?: string;
  readonly path?: Readonly<Record<string, joi.AnySchema>>;
  readonly query?: Readonly<Record<string, joi.AnySchema>>;
  /** Query parameters of which at most one may be given. */
  readonly exclusive?: readonly string[];
  readonly body?: joi.ObjectSchema;
  /** Bodies to show, by what they do. Every one of them passes the schema (a test holds it to that). */
  readonly bodyExamples?: Readonly<Record<string, object>>;
  readonly bodyOptional?: boolean;
  /** Only where a route takes another size than `limits.bodyBytesMax`. */
  readonly bodyBytesMax?: number;
  /** Only where a route takes longer lists than json-text.ts allows. */
  readonly bodyValuesMax?: number;
  /** Present where an order is placed: its request. Such a route takes an Idempotency-Key. */
  readonly places?: (call: Call) => AccountRequest;
  readonly answers: readonly RouteAnswer[];
  readonly handle: (call: Call, doors: Doors) => Reply | Promise<Reply>;
  /** Answers without a promise where everything is at hand, for a call without query and body. */
  readonly quick?: (path: Readonly<Record<string, string>>, doors: Doors) => MarketDataAnswer | undefined;
}

export type Tag = 'Market data' | 'Accounts' | 'Orders' | 'Audit' | 'Administration' | 'Service';

export interface RouteAnswer {
  readonly status: number;
  readonly description: string;
  readonly schema?: JsonSchema;
  readonly contentType?: string;
}

export interface Call extends OrderNaming {
  readonly path: Readonly<Record<string, string>>;
  /** Validated: numbers are numbers, everything else is text. */
  readonly query: Readonly<Record<string, string | number | undefined>>;
  readonly body: Readonly<Record<string, unknown>>;
  /** Of routes with `{account_id}`: within the token's scope, and it exists. */
  readonly accountId: AccountId | undefined;
  /** Present on every route that asks for a permission. */
  readonly principal: Principal | undefined;
  readonly context: CallContext;
  readonly acceptsGzip: boolean;
  /** Aborts when the client goes away; for reads only, an order goes on. */
  readonly signal: AbortSignal;
}

export interface Doors {
  readonly router: AccountRouter;
  readonly marketData: MarketDataDoor;
  readonly admin: AdminDoor;
  /** Document, pages and metrics: what the edge itself can answer. */
  readonly service: ServiceDoor;
}

/** What the edge answers by itself. */
export interface ServiceDoor {
  draining(): boolean;
  openApi(): Promise<ServedFile>;
  asyncApi(): ServedFile;
  asset(name: AssetName): ServedFile;
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
}

export type AssetName = 'docs.html' | 'docs.css' | 'docs.js' | 'stream.html' | 'stream.js';

/** Asked for again with its ETag after a restart only: the same build has the same bytes. */
export interface ServedFile {
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly etag: string;
}

export type Reply =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Uint8Array;
      readonly page?: boolean;
      /** Called when the kernel has all of `body`, if it ever has. */
      readonly sent?: () => void;
      readonly queueMs?: number;
      readonly meshMs?: number;
      readonly upstreamMs?: number;
    }
  | {
      readonly kind: 'problem';
      readonly problem: Problem;
      readonly queueMs?: number;
      readonly meshMs?: number;
      readonly upstreamMs?: number;
    };

export type HaltState = Extract<TradingState, 'HALTED' | 'REDUCING'>;

export const BASE = '/api/v1';

export function jsonReply(value: unknown, status = 200): Reply {
  return {
    kind: 'answer',
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: Buffer.from(JSON.stringify(value)),
  };
}
