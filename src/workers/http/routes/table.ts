/** Every route of the edge, the hottest first. */
import { accountRoutes } from './accounts.js';
import { administrationRoutes } from './administration.js';
import { marketDataRoutes } from './market-data.js';
import { orderRoutes } from './orders.js';
import { asyncApiRoute, metricsRoute, serviceRoutes } from './service.js';
import type { Route } from './route.js';

export function routeTable(options: {
  readonly exposeMetrics: boolean;
  /** There is a stream edge, and its document with it. */
  readonly asyncApi?: boolean;
}): readonly Route[] {
  return [
    ...marketDataRoutes,
    ...orderRoutes,
    ...accountRoutes,
    ...administrationRoutes,
    ...serviceRoutes,
    ...(options.asyncApi === true ? [asyncApiRoute] : []),
    ...(options.exposeMetrics ? [metricsRoute] : []),
  ];
}
