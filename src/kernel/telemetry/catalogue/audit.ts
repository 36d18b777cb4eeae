import type { MetricDeclaration } from '../metric.js';

export const auditMetrics: readonly MetricDeclaration[] = [
  { name: 'opitios_audit_records_total', kind: 'counter', help: 'Audit records made durable', labels: ['kind'] },
  {
    name: 'opitios_audit_commit_seconds',
    kind: 'histogram',
    help: 'Time to make a batch of audit records durable',
    labels: [],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2],
  },
  {
    name: 'opitios_audit_healthy',
    kind: 'gauge',
    help: '1 while the audit logs of all processes take records; at 0 orders are refused before they are sent',
    labels: [],
  },
];
