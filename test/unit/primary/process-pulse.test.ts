import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { ProcessPulse } from '../../../src/primary/process-pulse.js';

test('a process that works has run, one that is stopped has not, and one that is gone has not', async () => {
  const child = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  const pulse = new ProcessPulse();
  const pid = child.pid ?? 0;
  const runs = async (): Promise<boolean> => {
    for (let turn = 0; turn < 200; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      if (pulse.hasRun(pid)) return true;
    }
    return false;
  };
  pulse.hasRun(pid);
  expect(await runs()).toBe(true);

  child.kill('SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 100));
  pulse.hasRun(pid);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(pulse.hasRun(pid)).toBe(false);

  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  expect(pulse.hasRun(pid)).toBe(false);
}, 30_000);

test('a process that waits for a processor is not stuck, one that sleeps without having run is', () => {
  let state = 'R';
  const pulse = new ProcessPulse(() => `7 (a (strange) name) ${state} 1 7 7 0 -1 4194560 9 0 0 0 12 3 0 0 20 0 11`);

  expect(pulse.hasRun(7)).toBe(true);
  expect(pulse.hasRun(7)).toBe(true);
  for (state of ['S', 'D', 'T']) expect([state, pulse.hasRun(7)]).toEqual([state, false]);
});
