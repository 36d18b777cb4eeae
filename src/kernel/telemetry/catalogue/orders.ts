import type { MetricDeclaration } from '../metric.js';

export const ordersMetrics: readonly MetricDeclaration[] = [];
