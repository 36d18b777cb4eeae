/** What can be told about a request before any route looks at it. */
import type { IncomingMessage } from 'node:http';
import { readJson } from './request.js';

/** Everything that the broker serves from its data host. */
export function isDataPath(path: string): boolean {
  return path.startsWith('/v2/stocks') || path.startsWith('/v1beta');
}

/** Of an order request that names one. */
export function clientOrderIdOf(body: string): string | undefined {
  const parsed = readJson(body);
  if (typeof parsed !== 'object' || parsed === null || !('client_order_id' in parsed)) return undefined;
  return typeof parsed.client_order_id === 'string' ? parsed.client_order_id : undefined;
}

/** One header, when it came exactly once. */
export function header(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return typeof value === 'string' ? value : undefined;
}
