import type { MetricDeclaration } from '../metric.js';

export const streamsMetrics: readonly MetricDeclaration[] = [
  { name: 'opitios_stream_sockets', kind: 'gauge', help: 'Client sockets open', labels: [] },
  {
    name: 'opitios_stream_records_total',
    kind: 'counter',
    help: 'Records sent to clients: control, order, snapshot, status, market_data',
    labels: ['kind'],
  },
  {
    name: 'opitios_stream_conflated_records_total',
    kind: 'counter',
    help: 'Market data records that a slow reader did not get because a newer one took their place',
    labels: [],
  },
  { name: 'opitios_stream_errors_total', kind: 'counter', help: 'Error records sent to clients', labels: ['code'] },
  {
    name: 'opitios_stream_closed_total',
    kind: 'counter',
    help: 'Client sockets closed, by close code',
    labels: ['code'],
  },
  {
    name: 'opitios_stream_lag_seconds',
    kind: 'histogram',
    help: 'From a ping queued behind the data to its answer: how far a reader lags',
    labels: [],
    buckets: [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
];
