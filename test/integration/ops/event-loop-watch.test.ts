import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

interface Line {
  readonly msg: string;
  readonly blockedMs: number;
  readonly stack?: readonly string[];
}

async function linesWhenBlockedFor(ms: number): Promise<readonly Line[]> {
  const program = new URL('../../support/blocking-process.mjs', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [program, String(ms)]);
  return stdout
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as Line);
}

test('an event loop that stands still is logged while it stands, with the function that holds it, and again when it goes on', async () => {
  const lines = await linesWhenBlockedFor(6_000);

  const during = lines.find(({ msg }) => msg === 'event loop is blocked');
  expect(during?.stack?.[0]).toMatch(/^computesForTooLong file:.*blocking-process\.mjs:\d+$/);
  const after = lines.find(({ msg }) => msg === 'event loop was blocked');
  expect(after?.blockedMs).toBeGreaterThan(3_000);
  expect(lines.indexOf(during as Line)).toBeLessThan(lines.indexOf(after as Line));
}, 30_000);
