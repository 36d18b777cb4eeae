/**
 * The market-data REST host as one handler for the frame. It authenticates, answers GET and refuses what the host would
 * refuse; the ledger, latency, error switches and the request budget belong to the frame around it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SimClock } from '../clock.js';
import type { KeyRing, RestHandler } from '../doors.js';
import type { Market } from './market.js';
import type { MarketFaults } from './market-faults.js';
import { DataRefusal, sendJson, sendRefusal, sendUnauthorized } from './rest/answer.js';
import { OptionRoutes } from './rest/option-routes.js';
import { answerStocks } from './rest/stock-routes.js';

export interface DataRouteParts {
  readonly clock: SimClock;
  readonly keys: KeyRing;
  readonly faults: MarketFaults;
}

export function dataRoutes(market: Market, { clock, keys, faults }: DataRouteParts): RestHandler {
  const context = { market, now: () => clock.now(), plan: () => faults.plan };
  const options = new OptionRoutes(context);
  return (req, res, url) => {
    if (!url.pathname.startsWith('/v2/stocks/') && !url.pathname.startsWith('/v1beta1/options/')) return false;
    if (!isKnown(req, keys, faults)) {
      sendUnauthorized(res, faults.unauthorizedStyle);
      return true;
    }
    try {
      const answer =
        req.method === 'GET'
          ? (answerStocks(context, url.pathname, url.searchParams) ?? options.answer(url.pathname, url.searchParams))
          : undefined;
      send(res, answer);
    } catch (cause) {
      if (!(cause instanceof DataRefusal)) throw cause;
      sendRefusal(res, cause);
    }
    return true;
  };
}

function send(res: ServerResponse, answer: unknown): void {
  if (answer === undefined) sendJson(res, 404, '{"message":"endpoint not found"}');
  else sendJson(res, 200, typeof answer === 'string' ? answer : JSON.stringify(answer));
}

function isKnown(req: IncomingMessage, keys: KeyRing, faults: MarketFaults): boolean {
  const key = headerOf(req, 'apca-api-key-id');
  if (key === undefined || faults.refusedKeys.has(key)) return false;
  return keys.ownerOf(key, headerOf(req, 'apca-api-secret-key')) !== undefined;
}

function headerOf(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return typeof value === 'string' ? value : undefined;
}
