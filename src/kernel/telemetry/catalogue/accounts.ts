import type { MetricDeclaration } from '../metric.js';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export const accountsMetrics: readonly MetricDeclaration[] = [
  {
    name: 'opitios_broker_calls_total',
    kind: 'counter',
    help: 'Calls to the trading host, by what is known of them',
    labels: ['outcome'],
  },
  {
    name: 'opitios_broker_call_seconds',
    kind: 'histogram',
    help: "The broker's own time, from the first byte out to the last byte in",
    labels: [],
    buckets: SECONDS,
  },
  {
    name: 'opitios_broker_connections_opened_total',
    kind: 'counter',
    help: 'Sockets opened to the broker for calls: against the calls, what share of them found one open',
    labels: [],
  },
  {
    name: 'opitios_account_budget_remaining_ratio',
    kind: 'gauge',
    help: 'What is left of the request budget of the account that has least, as a share of it',
    labels: [],
  },
  {
    name: 'opitios_broker_queue_seconds',
    kind: 'histogram',
    help: 'Wait for a place in an account request budget',
    labels: ['lane'],
    buckets: SECONDS,
  },
  {
    name: 'opitios_account_reads_total',
    kind: 'counter',
    help: 'Reads of accounts, by who answered',
    labels: ['source'],
  },
  {
    name: 'opitios_mirror_corrections_total',
    kind: 'counter',
    help: 'Differences from the broker that a comparison found: the stream had not brought them',
    labels: ['kind'],
  },
  {
    name: 'opitios_trade_updates_total',
    kind: 'counter',
    help: 'Trade updates heard, or found by gap repair',
    labels: ['reconciled'],
  },
  { name: 'opitios_trade_stream_drops_total', kind: 'counter', help: 'Trade streams lost', labels: [] },
];
