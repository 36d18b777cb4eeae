import type { MetricDeclaration } from '../metric.js';

export const httpMetrics: readonly MetricDeclaration[] = [];
