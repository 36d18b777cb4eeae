import type { MetricDeclaration } from '../metric.js';

export const ordersMetrics: readonly MetricDeclaration[] = [
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
  { name: 'opitios_orders_refused_total', kind: 'counter', help: 'Orders refused by us, never sent', labels: ['by'] },
  {
    name: 'opitios_orders_accounts_refused_total',
    kind: 'counter',
    help: 'Accounts taken over that may not trade: journal damaged, or owned by somebody newer',
    labels: [],
  },
  { name: 'opitios_order_events_total', kind: 'counter', help: 'Numbered order events', labels: ['reconciled'] },
];
