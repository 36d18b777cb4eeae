import type { MetricDeclaration } from '../metric.js';

export const auditMetrics: readonly MetricDeclaration[] = [];
