import type { MetricDeclaration } from '../metric.js';

export const accountsMetrics: readonly MetricDeclaration[] = [];
