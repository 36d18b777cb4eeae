// The README's test command. Installs what the tests need, builds, checks, runs every suite that this machine can
// run, and says aloud what was skipped. `npm test -- unit cluster` runs only those suites.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, installIfNeeded, root } from './build.mjs';
import { installTestPrograms } from './test-programs.mjs';

/** Suites in one group share both cores; those that kill gateways run one file at a time. */
const GROUPS = [
  { suites: ['unit', 'integration'], workers: 2 },
  { suites: ['security', 'cluster', 'acceptance'], workers: 2 },
  { suites: ['chaos'], workers: 1 },
];

const asked = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const results = mkdtempSync(join(tmpdir(), 'opitios-test-'));
let failedToRun = false;
const totals = { passed: 0, failed: 0, skipped: [] };

installIfNeeded();
installTestPrograms();
await build();
if (asked.length === 0) runCheck();
for (const [index, group] of GROUPS.entries()) runGroup(index, group);
rmSync(results, { recursive: true, force: true });
report();

function runCheck() {
  console.log('\n== check');
  const { status } = spawnSync(process.execPath, ['scripts/check.mjs'], { cwd: root, stdio: 'inherit' });
  if (status === 0) totals.passed += 1;
  else totals.failed += 1;
}

function runGroup(index, group) {
  const suites = group.suites.filter(
    (suite) => existsSync(join(root, 'test', suite)) && (asked.length === 0 || asked.includes(suite)),
  );
  if (suites.length === 0) return;
  console.log(`\n== ${suites.join(', ')}`);
  const outputFile = join(results, `${index}.json`);
  const args = [
    '--experimental-vm-modules',
    '--no-warnings',
    'node_modules/jest/bin/jest.js',
    '--selectProjects',
    ...suites,
  ];
  args.push(
    '--maxWorkers',
    String(group.workers),
    '--forceExit',
    '--json',
    '--outputFile',
    outputFile,
    '--passWithNoTests',
  );
  const done = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (!existsSync(outputFile)) {
    failedToRun = true;
    return;
  }
  const result = JSON.parse(readFileSync(outputFile, 'utf8'));
  totals.passed += result.numPassedTests;
  totals.failed += result.numFailedTests + result.numRuntimeErrorTestSuites;
  for (const file of result.testResults) {
    for (const test of file.assertionResults)
      if (test.status === 'pending' || test.status === 'todo') totals.skipped.push(test.fullName);
  }
  if (done.status !== 0 && result.success) failedToRun = true;
}

function report() {
  console.log('');
  for (const name of totals.skipped) console.log(`skipped: ${name}`);
  if (failedToRun) console.log('a suite did not run to its end');
  console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped.length} skipped`);
  process.exit(totals.failed > 0 || failedToRun || totals.passed === 0 ? 1 : 0);
}
