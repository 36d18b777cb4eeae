/** Random programs of orders, closes, replaces and takeovers against a virtual book, in a process of its own. */
import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';

test('500 programs: no close flips a position, no limit is exceeded, no answer is untrue', () => {
  const done = spawnSync(process.execPath, ['scripts/sim-exposure.mjs', '--seeds', '500'], { encoding: 'utf8' });

  expect(done.stdout).toContain('no violation');
  expect(done.status).toBe(0);
}, 200_000);
