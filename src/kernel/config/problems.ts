/** What is wrong with a configuration, one finding a line. A reason never repeats a value: it could be a secret. */
import { GatewayError } from '../domain/errors.js';

export interface ConfigProblem {
  /** `trading_accounts[3].api_key`; empty for the file as a whole. */
  readonly path: string;
  readonly reason: string;
  /** The known name that an unknown one resembles most. */
  readonly nearest?: string;
}

export function configInvalid(file: string, problems: readonly ConfigProblem[]): GatewayError {
  return new GatewayError(
    'CONFIG_INVALID',
    { file, problems },
    { message: describeProblems(file, problems).join('\n') },
  );
}

/** One clear line a problem, for a terminal. */
export function describeProblems(file: string, problems: readonly ConfigProblem[]): readonly string[] {
  return problems.map(({ path, reason, nearest }) => {
    const hint = nearest === undefined ? '' : ` (did you mean ${nearest}?)`;
    return `${file}: ${path === '' ? '' : `${path}: `}${reason}${hint}`;
  });
}

/** The candidate within a third of the word's length (at least two edits), or undefined. */
export function nearestName(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.slice(0, 64).toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, swap));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
