import type { MetricDeclaration } from '../metric.js';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export const marketDataMetrics: readonly MetricDeclaration[] = [
  {
    name: 'opitios_market_data_upstream_requests_total',
    kind: 'counter',
    help: 'Requests to the broker for market and reference data. `source` is `current`, or `other` for a key that was tried next.',
    labels: ['host', 'outcome', 'source'],
  },
  {
    name: 'opitios_market_data_upstream_seconds',
    kind: 'histogram',
    help: 'Time of one such request, without the wait for the rate budget.',
    labels: ['host'],
    buckets: SECONDS,
  },
  {
    name: 'opitios_market_data_cache_total',
    kind: 'counter',
    help: 'Answers by cache outcome: hit, stale (given while a new one is loaded, or because loading failed), miss, failed.',
    labels: ['kind', 'outcome'],
  },
  {
    name: 'opitios_market_data_stream_up',
    kind: 'gauge',
    help: '1 while the upstream data socket is authenticated.',
    labels: ['side'],
  },
  {
    name: 'opitios_market_data_stream_restarts_total',
    kind: 'counter',
    help: 'Ends of the upstream data socket, whatever the cause.',
    labels: ['side'],
  },
  {
    name: 'opitios_market_data_stream_errors_total',
    kind: 'counter',
    help: "Errors that the broker reported on the upstream data socket, by the broker's code.",
    labels: ['side', 'code'],
  },
  {
    name: 'opitios_market_data_key_changes_total',
    kind: 'counter',
    help: 'Times that another key (a stand-in, or the master again) took market data over.',
    labels: [],
  },
  {
    name: 'opitios_market_data_stand_in',
    kind: 'gauge',
    help: '1 while a stand-in account serves market data instead of the master.',
    labels: [],
  },
  {
    name: 'opitios_market_data_table_writes_total',
    kind: 'counter',
    help: 'Records written to the shared quote table.',
    labels: [],
  },
  {
    name: 'opitios_market_data_table_lag_seconds',
    kind: 'histogram',
    help: 'From a record at the hub to all workers being able to read it, the oldest of each transaction.',
    labels: [],
    buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1],
  },
  {
    name: 'opitios_thread_task_seconds',
    kind: 'histogram',
    help: 'Batch work in threads: the wait for a thread, and the run in it with the way there and back.',
    labels: ['part'],
    buckets: SECONDS,
  },
  {
    name: 'opitios_market_data_table_failures_total',
    kind: 'counter',
    help: 'Transactions of the shared quote table that failed.',
    labels: [],
  },
  {
    name: 'opitios_market_data_records_dropped_total',
    kind: 'counter',
    help: 'Trades and bars that a worker was too slow to take from the hub.',
    labels: [],
  },
  {
    name: 'opitios_market_data_followers',
    kind: 'gauge',
    help: 'Other instances that get their quotes from this one.',
    labels: [],
  },
  {
    name: 'opitios_market_data_following',
    kind: 'gauge',
    help: '1 while quotes come from another instance and none is missing.',
    labels: [],
  },
  {
    name: 'opitios_market_data_shared_records_total',
    kind: 'counter',
    help: 'Records between instances: sent, or received.',
    labels: ['way'],
  },
  {
    name: 'opitios_market_data_resyncs_total',
    kind: 'counter',
    help: 'Times that every shared value was asked for again: another hub, or a lost message.',
    labels: [],
  },
];
