/** Reloads when the configuration's directory changes and has been quiet for a moment: editors write in several steps. */
import { statSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { Clock } from '../kernel/runtime/clock.js';

const QUIET_MS = 500;

/** Watches the directory: an editor replaces the file itself. Returns what ends it. */
export function watchConfig(file: string, clock: Clock, changed: () => void): () => void {
  const path = resolve(file);
  let stopTimer = (): void => undefined;
  let last = stampOf(path);
  const watcher = watch(dirname(path), (_event, name) => {
    if (name !== null && name !== basename(path) && !/\.ya?ml$/.test(name)) return;
    stopTimer();
    stopTimer = clock.after(QUIET_MS, () => {
      const now = stampOf(path);
      const isAccountsFile = name !== null && name !== basename(path);
      if (now === last && !isAccountsFile) return;
      last = now;
      changed();
    });
  });
  watcher.on('error', () => undefined);
  return () => {
    stopTimer();
    watcher.close();
  };
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs}/${size}/${ino}`;
  } catch {
    return 'gone';
  }
}
