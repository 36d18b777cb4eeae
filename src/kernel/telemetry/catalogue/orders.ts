import type { MetricDeclaration } from '../metric.js';

export const ordersMetrics: readonly MetricDeclaration[] = [
  {
    name: 'opitios_journal_commit_seconds',
    kind: 'histogram',
    help: 'Time to make a write to the order journal durable, the wait for the one before included',
    labels: [],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  },
  { name: 'opitios_orders_unknown', kind: 'gauge', help: 'Orders whose outcome nobody knows now', labels: [] },
  {
    name: 'opitios_order_unknown_age_seconds',
    kind: 'gauge',
    help: 'Age of the oldest of them; 0 when there is none',
    labels: [],
  },
  {
    name: 'opitios_order_attempts_total',
    kind: 'counter',
    help: 'Attempts to send an order, by what the broker or the wire made of them',
    labels: ['result'],
  },
  {
    name: 'opitios_order_outcomes_total',
    kind: 'counter',
    help: 'Intents that ended, by their final state',
    labels: ['state'],
  },
  { name: 'opitios_order_lookups_total', kind: 'counter', help: 'Lookups of unknown outcomes', labels: ['result'] },
  {
    name: 'opitios_orders_answered_unknown_total',
    kind: 'counter',
    help: 'Callers that were told 202 because nobody knew the outcome yet',
    labels: [],
  },
  {
    name: 'opitios_orders_abandoned_total',
    kind: 'counter',
    help: 'Orders searched for in vain until the quarantine ended',
    labels: [],
  },
  {
    name: 'opitios_orders_rewritten_total',
    kind: 'counter',
    help: 'Orders whose fields came back otherwise than they were sent',
    labels: [],
  },
  { name: 'opitios_orders_refused_total', kind: 'counter', help: 'Orders refused by us, never sent', labels: ['by'] },
  {
    name: 'opitios_orders_accounts_refused_total',
    kind: 'counter',
    help: 'Accounts taken over that may not trade: journal damaged, or owned by somebody newer',
    labels: [],
  },
  { name: 'opitios_order_events_total', kind: 'counter', help: 'Numbered order events', labels: ['reconciled'] },
];
