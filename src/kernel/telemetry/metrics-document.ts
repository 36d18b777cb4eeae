/** The metrics as a reference: docs/metrics.md is this, and a test fails when it is not. */
import type { MetricDeclaration } from './metric.js';

export function metricsDocument(declarations: readonly MetricDeclaration[]): string {
  const rows = [...declarations]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, kind, labels, help }) => {
      const cells = [`\`${name}\``, kind, labels.map((label) => `\`${label}\``).join(', '), help];
      return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
    });
  return [
    '# Metrics',
    '',
    'Made from `src/kernel/telemetry/catalogue` by `npm run docs`; do not edit. Added up over the workers of an instance;',
    '`opitios_process_*` and `opitios_nodejs_*` are told apart by `worker`. Labels come from closed sets: never an account,',
    'a symbol or an order. `opitios_meter_misuse_total` above 0 is a bug of ours.',
    '',
    '| Name | Kind | Labels | What it says |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}
