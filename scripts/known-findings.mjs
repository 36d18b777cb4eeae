// A list of findings that were there when a check was made: `{group: {key: count}}` as JSON. What is listed passes, what
// goes beyond it fails, and what was fixed and is still listed is named. `--update` writes the list again, names what it
// adds, and refuses where a group's sum would rise: so a file may be moved or cut in two without a longer list.
import { readFileSync, writeFileSync } from 'node:fs';

const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);

const sorted = (value) =>
  typeof value === 'object'
    ? Object.fromEntries(
        Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, below]) => [key, sorted(below)]),
      )
    : value;

/** Groups whose sum rose, as text; those that are not listed at all included. */
export function risen(known, found) {
  return Object.entries(found)
    .filter(([group, counts]) => sum(counts) > sum(known[group] ?? {}))
    .map(([group, counts]) => `${group}: ${sum(known[group] ?? {})} listed, ${sum(counts)} found`);
}

/** What is found beyond the list: `[group, key, listed, found]`. */
export function beyond(known, found) {
  return Object.entries(found).flatMap(([group, counts]) =>
    Object.entries(counts)
      .filter(([key, count]) => count > (known[group]?.[key] ?? 0))
      .map(([key, count]) => [group, key, known[group]?.[key] ?? 0, count]),
  );
}

/** What is listed and was fixed: `[group, key, listed, found]`. */
export const fixed = (known, found) =>
  beyond(found, known).map(([group, key, left, listed]) => [group, key, listed, left]);

/** Runs a check to its end: prints, writes with `--update`, exits 1 on a new finding. */
export function settle({ file, found, command, describe, advice }) {
  const known = JSON.parse(readFileSync(file, 'utf8'));
  if (process.argv.includes('--update')) {
    const more = risen(known, found);
    if (more.length > 0) {
      console.error(`${command}: the list only gets shorter\n  ${more.join('\n  ')}`);
      process.exit(1);
    }
    for (const finding of beyond(known, found)) console.log(`now listed: ${describe(finding)}`);
    writeFileSync(file, `${JSON.stringify(sorted(found), null, 2)}\n`);
    return;
  }
  const gone = fixed(known, found);
  for (const [group, key, listed, left] of gone)
    console.log(`fixed: ${group}, ${key}: ${listed} listed, ${left} found`);
  if (gone.length > 0) console.log(`${command} -- --update takes what was fixed off the list`);
  const fresh = beyond(known, found);
  for (const finding of fresh) console.error(describe(finding));
  if (fresh.length > 0) {
    console.error(advice);
    process.exit(1);
  }
}
