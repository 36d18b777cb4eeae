/**
 * The few hottest GET routes, found by their beginning before Express looks at its list. Only an address that can be
 * read in one way is taken; every other goes to Express, which leads to the same handler by the same checks.
 */
import type { Exchange } from './exchange.js';
import type { ServeRoute } from './serve.js';

/** The unreserved characters of RFC 3986: nothing to decode, no query, no further segment. */
const PLAIN_SEGMENT = /^[\w.~-]+$/;
/** One parameter, and it is the last segment. */
const TEMPLATE = /^(\/[^{}]*\/)\{(\w+)\}$/;

interface DirectRoute {
  readonly prefix: string;
  readonly parameter: string;
  readonly serve: ServeRoute;
}

export class DirectRoutes {
  readonly #routes: DirectRoute[] = [];

  /** A template of another shape is left to Express. */
  add(template: string, serve: ServeRoute): void {
    const [, prefix, parameter] = TEMPLATE.exec(template) ?? [];
    if (prefix !== undefined && parameter !== undefined) this.#routes.push({ prefix, parameter, serve });
  }

  /** False when the request is not for one of these routes. */
  serve(exchange: Exchange): boolean {
    const { method, url } = exchange.req;
    if (method !== 'GET' || url === undefined) return false;
    for (const { prefix, parameter, serve } of this.#routes) {
      if (!url.startsWith(prefix)) continue;
      const value = url.slice(prefix.length);
      if (!PLAIN_SEGMENT.test(value)) continue;
      serve(exchange, { [parameter]: value });
      return true;
    }
    return false;
  }
}
