/**
 * With OPITIOS_CANARY=1 every gateway that a test starts logs at trace level, and when the test is done with it its secrets are
 * looked for in all that it left: output, audit, journal, metrics, command lines and environments. `npm run canary`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SecretHunt, type Needle } from './secret-hunt.js';

export const isCanaryMode = process.env['OPITIOS_CANARY'] === '1';

export interface Suspect {
  readonly pid: number | undefined;
  readonly adminUrl: string;
  readonly dir: string;
  readonly output: () => string;
  readonly needles: readonly Needle[];
}

/** Of a thousand accounts these: every value is looked for in every byte. */
const ACCOUNTS_MAX = 3;

export function needlesOf(secret: string, accounts: readonly { api_key: string; secret_key: string }[]): Needle[] {
  const some = accounts.slice(0, ACCOUNTS_MAX).flatMap(({ api_key: key, secret_key: value }, n) => [
    { name: `api_key ${n}`, value: key },
    { name: `secret_key ${n}`, value },
  ]);
  return [{ name: 'token secret', value: secret }, ...some];
}

/** While it runs. What a dead one would have shown cannot be asked any more. */
export async function huntAlive({ pid, adminUrl, needles }: Suspect): Promise<readonly string[]> {
  const hunt = new SecretHunt(needles);
  if (pid === undefined) return [];
  for (const one of [pid, ...childrenOf(pid)]) hunt.inProcess(one);
  const metrics = await fetch(`${adminUrl}/metrics`).then(
    (response) => response.text(),
    () => '',
  );
  hunt.inText('metrics', metrics);
  return hunt.hits;
}

/** After its end, before its directory goes. */
export function huntLeft({ dir, output, needles }: Suspect): readonly string[] {
  const hunt = new SecretHunt(needles);
  hunt.inText('output', output());
  hunt.inDirectory(join(dir, 'data'));
  return hunt.hits;
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
