/** The order core in a virtual world, in a process of its own: 2,000 seeds of faults, safety after every event, then an end. */
import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';

test('2,000 simulated worlds break no invariant', () => {
  const done = spawnSync(process.execPath, ['scripts/sim.mjs', '--seeds', '2000'], { encoding: 'utf8' });

  expect(done.stdout).toContain('no violation');
  expect(done.status).toBe(0);
}, 400_000);
