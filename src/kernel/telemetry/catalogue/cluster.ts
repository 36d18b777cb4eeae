/** Processes, ownership and the ways between them. */
import type { MetricDeclaration } from '../metric.js';

export const clusterMetrics: readonly MetricDeclaration[] = [
  {
    name: 'opitios_routed_requests_total',
    kind: 'counter',
    help: 'Requests to accounts by way: run here, sent over the mesh, or refused because no owner came in time',
    labels: ['way'],
  },
  {
    name: 'opitios_routing_interrupted_total',
    kind: 'counter',
    help: 'Requests whose owner went away after it may have acted',
    labels: [],
  },
  {
    name: 'opitios_event_loop_delay_seconds',
    kind: 'histogram',
    help: 'How late a timer of a worker comes, asked 50 times a second: what every request waits for at most',
    labels: [],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  },
  {
    name: 'opitios_workers',
    kind: 'gauge',
    help: 'Worker processes by state; a spare has started and waits for a death',
    labels: ['state'],
  },
  {
    name: 'opitios_worker_exits_total',
    kind: 'counter',
    help: 'Ends of worker processes: planned, crashed, or killed because they were silent',
    labels: ['cause'],
  },
  { name: 'opitios_account_moves_total', kind: 'counter', help: 'Accounts granted to a worker', labels: [] },
  {
    name: 'opitios_takeover_seconds',
    kind: 'histogram',
    help: "From a worker's death to its replacement being ready",
    labels: [],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30],
  },
  { name: 'opitios_accounts', kind: 'gauge', help: 'Accounts by the state of their session', labels: ['state'] },
  {
    name: 'opitios_lease_valid_seconds',
    kind: 'gauge',
    help: 'How much longer the leases are good for; 0 when they have lapsed',
    labels: [],
  },
  {
    name: 'opitios_lease_age_seconds',
    kind: 'gauge',
    help: 'Since the store last renewed the leases',
    labels: [],
  },
  {
    name: 'opitios_lease_epoch',
    kind: 'gauge',
    help: 'The highest epoch of the leases held; it never falls',
    labels: [],
  },
  { name: 'opitios_lease_slots_unowned', kind: 'gauge', help: 'Lease slots that no instance holds', labels: [] },
  { name: 'opitios_lease_slots_held', kind: 'gauge', help: 'Lease slots that this instance holds', labels: [] },
  {
    name: 'opitios_forwarded_requests_total',
    kind: 'counter',
    help: 'Attempts to have a request answered by the instance that holds the account, by result',
    labels: ['result'],
  },
  { name: 'opitios_instances', kind: 'gauge', help: 'Living instances that share the accounts', labels: [] },
  { name: 'opitios_leases_acquired_total', kind: 'counter', help: 'Lease slots taken', labels: [] },
  {
    name: 'opitios_leases_lost_total',
    kind: 'counter',
    help: 'Lease slots that another instance took over',
    labels: [],
  },
  {
    name: 'opitios_notifications_total',
    kind: 'counter',
    help: 'Messages to the configured webhooks: sent, or lost after the last attempt',
    labels: ['result'],
  },
  {
    name: 'opitios_clock_offset_seconds',
    kind: 'gauge',
    help: "The broker's clock less ours, the median over the accounts; the broker tells whole seconds",
    labels: [],
  },
  {
    name: 'opitios_reloads_total',
    kind: 'counter',
    help: 'Reloads of the configuration by result',
    labels: ['result'],
  },
];
