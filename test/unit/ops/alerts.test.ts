import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { METRICS } from '../../../src/kernel/telemetry/catalogue.js';
import { PromMeter } from '../../../src/kernel/telemetry/prom-meter.js';

const RULES = 'config/prometheus/alerts.yml';
const DASHBOARD = 'config/grafana/dashboards/opitios.json';
const CASES = 'test/unit/ops/alerts.promtool.yml';
const promtool = (...args: string[]): { readonly status: number | null; readonly stdout: string; stderr: string } =>
  spawnSync('promtool', args, { encoding: 'utf8' });
const hasPromtool = promtool('--version').status === 0;
const withPromtool = hasPromtool ? test : test.skip;

test('every metric that an alert or the dashboard names is one that the gateway counts', async () => {
  const families = await new PromMeter(METRICS, { processMetrics: true }).snapshot();
  const known = new Set(
    families.flatMap(({ name, kind }) =>
      kind === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
  for (const file of [RULES, DASHBOARD]) {
    const named = new Set(readFileSync(file, 'utf8').match(/\bopitios_\w+/g));
    expect(named.size).toBeGreaterThan(10);
    expect([...named].filter((name) => !known.has(name))).toEqual([]);
  }
});

test('every alert has a case in which it fires', () => {
  const alerts = [...readFileSync(RULES, 'utf8').matchAll(/alert: (\w+)/g)].map(([, name]) => name);
  const cases = readFileSync(CASES, 'utf8');
  expect(alerts.filter((name) => !cases.includes(`name: ${name ?? ''} fires`))).toEqual([]);
});

withPromtool('every alert fires in its case and stays quiet over a healthy gateway (needs promtool)', () => {
  const checked = promtool('check', 'rules', RULES);
  expect(checked.stderr + checked.stdout).toContain('SUCCESS');
  const { status, stdout, stderr } = promtool('test', 'rules', CASES);
  expect(`${status} ${stdout}${stderr}`).toMatch(/^0 /);
});
