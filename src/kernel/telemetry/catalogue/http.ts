/** The HTTP edge of a worker. */
import type { MetricDeclaration } from '../metric.js';

export const httpMetrics: readonly MetricDeclaration[] = [
  {
    name: 'opitios_http_requests_total',
    kind: 'counter',
    help: 'Requests by method, route template and status; every request once, refused and broken ones too (499: the client left first)',
    labels: ['method', 'route', 'status'],
  },
  {
    name: 'opitios_http_request_seconds',
    kind: 'histogram',
    help: 'Time of a request: total, and its parts queue, gateway, mesh and upstream',
    labels: ['route', 'part'],
    buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  },
  {
    name: 'opitios_http_shed_total',
    kind: 'counter',
    help: 'Requests refused because too many were in flight, by kind of work',
    labels: ['work'],
  },
];
