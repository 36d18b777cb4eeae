import type { MetricDeclaration } from '../metric.js';

export const clusterMetrics: readonly MetricDeclaration[] = [];
