import type { MetricDeclaration } from '../metric.js';

export const marketDataMetrics: readonly MetricDeclaration[] = [];
