import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { METRICS } from '../../../src/kernel/telemetry/catalogue.js';
import { MetricSum } from '../../../src/kernel/telemetry/metric-sum.js';
import { metricsDocument } from '../../../src/kernel/telemetry/metrics-document.js';
import type { MetricDeclaration } from '../../../src/kernel/telemetry/metric.js';
import { PromMeter } from '../../../src/kernel/telemetry/prom-meter.js';

const declarations: readonly MetricDeclaration[] = [
  { name: 'opitios_requests_total', kind: 'counter', help: 'Requests\nof clients', labels: ['status'] },
  { name: 'opitios_sessions', kind: 'gauge', help: 'Sessions', labels: ['state'] },
  { name: 'opitios_wait_seconds', kind: 'histogram', help: 'Wait', labels: [], buckets: [0.1, 1] },
];
const meter = (): PromMeter => new PromMeter(declarations, { processMetrics: false });
const line = (sum: MetricSum, name: string): string | undefined =>
  sum
    .text()
    .split('\n')
    .find((text) => text.startsWith(name));

test('two workers add up; a dead one keeps its counts and loses its gauges', async () => {
  const sum = new MetricSum();
  const [one, two] = [meter(), meter()];
  one.count('opitios_requests_total', { status: '200' }, 3);
  two.count('opitios_requests_total', { status: '200' }, 4);
  one.gauge('opitios_sessions', 10, { state: 'ready' });
  two.gauge('opitios_sessions', 20, { state: 'ready' });
  one.observe('opitios_wait_seconds', 0.05);
  sum.update({ slot: 0, pid: 1 }, await one.snapshot());
  sum.update({ slot: 1, pid: 2 }, await two.snapshot());
  expect(line(sum, 'opitios_requests_total')).toBe('opitios_requests_total{status="200"} 7');

  sum.retire(0);

  expect(line(sum, 'opitios_requests_total')).toBe('opitios_requests_total{status="200"} 7');
  expect(line(sum, 'opitios_sessions')).toBe('opitios_sessions{state="ready"} 20');
  expect(line(sum, 'opitios_wait_seconds_bucket{le="0.1"}')).toBe('opitios_wait_seconds_bucket{le="0.1"} 1');
  expect(line(sum, 'opitios_wait_seconds_count')).toBe('opitios_wait_seconds_count 1');
});

test('one process whose audit log refuses is not hidden by the others', async () => {
  const sum = new MetricSum();
  const gauge = { name: 'opitios_audit_healthy', kind: 'gauge', help: 'Audit', labels: [] } as const;
  for (const [slot, healthy] of [1, 0, 1].entries()) {
    const one = new PromMeter([gauge], { processMetrics: false });
    one.gauge('opitios_audit_healthy', healthy);
    sum.update({ slot, pid: slot + 1 }, await one.snapshot());
  }
  expect(line(sum, 'opitios_audit_healthy')).toBe('opitios_audit_healthy 0');

  sum.retire(1);

  expect(line(sum, 'opitios_audit_healthy')).toBe('opitios_audit_healthy 1');
});

test('a successor in the slot starts from zero and the sum does not fall', async () => {
  const sum = new MetricSum();
  const [first, second] = [meter(), meter()];
  first.count('opitios_requests_total', { status: '200' }, 5);
  sum.update({ slot: 0, pid: 1 }, await first.snapshot());
  second.count('opitios_requests_total', { status: '200' });

  sum.update({ slot: 0, pid: 2 }, await second.snapshot());
  sum.update({ slot: 0, pid: 2 }, await second.snapshot());

  expect(line(sum, 'opitios_requests_total')).toBe('opitios_requests_total{status="200"} 6');
});

test('a snapshot is plain data', async () => {
  const snapshot = await meter().snapshot();

  expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
});

test('process metrics are told apart by worker', async () => {
  const sum = new MetricSum();
  sum.update({ slot: 3, pid: 1 }, await new PromMeter([], { processMetrics: true }).snapshot());

  expect(line(sum, 'opitios_process_resident_memory_bytes')).toMatch(/\{worker="3"\} \d+/);
});

test('what was not declared is counted as misuse and breaks nothing', async () => {
  const sum = new MetricSum();
  const it = meter();
  it.count('opitios_unknown_total');
  it.count('opitios_requests_total', { account: 'a' });
  it.gauge('opitios_requests_total', 1);
  it.observe('opitios_wait_seconds', Number.NaN);

  sum.update({ slot: 0, pid: 1 }, await it.snapshot());

  expect(line(sum, 'opitios_meter_misuse_total')).toMatch(/ [34]$/);
});

test('label values and help texts cannot break the exposition', () => {
  const sum = new MetricSum();
  const samples = [{ name: 'opitios_x_total', labels: { route: 'a"b\\c\nd' }, value: 1 }];
  sum.update({ slot: 0, pid: 1 }, [{ name: 'opitios_x_total', help: 'a\nb', kind: 'counter', samples }]);

  expect(sum.text()).toBe(
    '# HELP opitios_x_total a\\nb\n# TYPE opitios_x_total counter\nopitios_x_total{route="a\\"b\\\\c\\nd"} 1\n',
  );
});

test('docs/metrics.md lists the metrics as they are (npm run docs)', async () => {
  expect(await readFile('docs/metrics.md', 'utf8')).toBe(metricsDocument(METRICS));
});

test('the catalogue is consistent: one name once, ours, and with closed labels', () => {
  const names = METRICS.map(({ name }) => name);

  expect(new Set(names).size).toBe(names.length);
  for (const { name, kind, labels } of METRICS) {
    expect(name).toMatch(/^opitios_[a-z0-9_]+$/);
    if (kind === 'counter') expect(name).toMatch(/_total$/);
    for (const label of labels) expect(label).not.toMatch(/account|symbol|order_id|subject|^worker$/);
  }
  // prom-client refuses what Prometheus would not read.
  expect(() => new PromMeter(METRICS, { processMetrics: false })).not.toThrow();
});

test('every metric that the program counts is declared', async () => {
  const declared = new Set(METRICS.map(({ name }) => name));
  const sources = (await readdir('src', { recursive: true })).filter(
    (name) => name.endsWith('.ts') && !name.includes('telemetry'),
  );
  const counted = new Set<string>();
  for (const name of sources)
    for (const [, metric = ''] of (await readFile(join('src', name), 'utf8')).matchAll(
      /['"`](opitios_[a-z0-9_]+)['"`]/g,
    ))
      counted.add(metric);

  expect([...counted].filter((name) => !declared.has(name))).toEqual([]);
});
