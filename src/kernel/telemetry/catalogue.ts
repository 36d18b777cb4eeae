/** Every metric of the program, by area. */
import { accountsMetrics } from './catalogue/accounts.js';
import { auditMetrics } from './catalogue/audit.js';
import { clusterMetrics } from './catalogue/cluster.js';
import { httpMetrics } from './catalogue/http.js';
import { marketDataMetrics } from './catalogue/market-data.js';
import { ordersMetrics } from './catalogue/orders.js';
import { streamsMetrics } from './catalogue/streams.js';
import type { MetricDeclaration } from './metric.js';

export const METRICS: readonly MetricDeclaration[] = [
  ...httpMetrics,
  ...accountsMetrics,
  ...ordersMetrics,
  ...marketDataMetrics,
  ...streamsMetrics,
  ...clusterMetrics,
  ...auditMetrics,
];
