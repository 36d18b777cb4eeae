import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { freePort } from '../support/free-port.js';
import { eventually } from '../support/gateway-process.js';

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

function descendantsOf(pid: number): readonly number[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  const children = pids.filter((one) => parentOf(one) === pid);
  return [...children, ...children.flatMap(descendantsOf)];
}

test('kill -9 of the demo leaves no process', async () => {
  const port = String(await freePort());
  const demo = spawn(
    process.execPath,
    ['dist/cli/main.js', 'demo', '--accounts', '2', '--port', port, '--workers', '1'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  let said = '';
  demo.stdout.on('data', (chunk: Buffer) => (said += String(chunk)));
  await eventually(() => said.includes('The gateway is ready'), 'the demo is ready', 60_000);
  const pids = descendantsOf(demo.pid ?? 0);
  // Simulator, primary, a worker, its spare.
  expect(pids.length).toBeGreaterThanOrEqual(3);
  demo.kill('SIGKILL');

  await eventually(() => pids.every((pid) => parentOf(pid) === undefined), 'everything of the demo is gone');
}, 90_000);
