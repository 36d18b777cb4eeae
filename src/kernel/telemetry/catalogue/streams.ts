import type { MetricDeclaration } from '../metric.js';

export const streamsMetrics: readonly MetricDeclaration[] = [];
