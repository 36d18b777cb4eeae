/** Which path is which route of the trading host. Answers undefined for a path that it does not know. */
import {
  getAccount,
  getConfiguration,
  getPortfolioHistory,
  listActivities,
  patchConfiguration,
} from './account-routes.js';
import type { Answer } from './answer.js';
import {
  deleteOrder,
  deleteOrders,
  getOrder,
  getOrderByClientId,
  listOrders,
  patchOrder,
  postOrder,
} from './order-routes.js';
import { deletePosition, deletePositions, getPosition, listPositions } from './position-routes.js';
import { getAsset, getCalendar, getClock, getContract, listAssets, listContracts } from './reference-routes.js';
import type { TradingRequest } from './request.js';

type Route = (request: TradingRequest) => Answer;
type RouteOfOne = (request: TradingRequest, id: string) => Answer;

const EXACT: Readonly<Record<string, Route>> = {
  'GET /v2/account': getAccount,
  'GET /v2/account/configurations': getConfiguration,
  'PATCH /v2/account/configurations': patchConfiguration,
  'GET /v2/account/portfolio/history': getPortfolioHistory,
  'GET /v2/account/activities': (request) => listActivities(request, undefined),
  'GET /v2/orders': listOrders,
  'POST /v2/orders': postOrder,
  'DELETE /v2/orders': deleteOrders,
  'GET /v2/orders:by_client_order_id': getOrderByClientId,
  'GET /v2/positions': listPositions,
  'DELETE /v2/positions': deletePositions,
  'GET /v2/assets': listAssets,
  'GET /v2/options/contracts': listContracts,
  'GET /v2/clock': getClock,
  'GET /v2/calendar': getCalendar,
};

/** By the path's start; the rest of the path is the id. */
const PREFIXED: readonly (readonly [string, Readonly<Record<string, RouteOfOne>>])[] = [
  ['/v2/orders/', { GET: getOrder, PATCH: patchOrder, DELETE: deleteOrder }],
  ['/v2/positions/', { GET: getPosition, DELETE: deletePosition }],
  ['/v2/account/activities/', { GET: listActivities }],
  ['/v2/assets/', { GET: getAsset }],
  ['/v2/options/contracts/', { GET: getContract }],
];

/** undefined: no such route on this host. */
export function answerTrading(request: TradingRequest): Answer | undefined {
  const exact = EXACT[`${request.method} ${request.path}`];
  if (exact !== undefined) return exact(request);
  for (const [prefix, methods] of PREFIXED) {
    if (!request.path.startsWith(prefix)) continue;
    const id = decode(request.path.slice(prefix.length));
    return id === undefined || id === '' ? undefined : methods[request.method]?.(request, id);
  }
  return undefined;
}

/** The route's name for counters: ids become `{id}`. */
export function routeName(method: string, path: string): string {
  for (const [prefix] of PREFIXED) if (path.startsWith(prefix)) return `${method} ${prefix}{id}`;
  return `${method} ${path}`;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
