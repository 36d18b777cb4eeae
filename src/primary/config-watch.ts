/**
 * Reloads when a file that the configuration is made of has changed: itself, its accounts, certificates, keys. Directories are
 * watched, because editors, certificate robots and mounted volumes replace a file instead of writing into it.
 */
import { statSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../kernel/runtime/clock.js';
import type { Log } from '../kernel/runtime/log.js';

/** Two looks this far apart that see the same: nobody is writing any more. */
const QUIET_MS = 500;

export interface WatchParts {
  /** Asked again after every change: a reload may name other files. */
  readonly files: () => readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly changed: () => Promise<unknown>;
}

/** @returns what ends it */
export function watchConfig(parts: WatchParts): () => void {
  const watching = new ConfigWatch(parts);
  watching.start();
  return () => watching.close();
}

class ConfigWatch {
  readonly #watchers = new Map<string, FSWatcher>();
  /** As they were when `changed` was called last. */
  #known = '';
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(private readonly parts: WatchParts) {}

  start(): void {
    this.#known = this.#stamps();
    this.#watchDirectories();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    for (const watcher of this.#watchers.values()) watcher.close();
  }

  #look(seen: string): void {
    this.#cancel ??= this.parts.clock.after(QUIET_MS, () => {
      this.#cancel = undefined;
      const now = this.#stamps();
      if (now !== seen) this.#look(now);
      else if (now !== this.#known) this.#report(now);
    });
  }

  #report(now: string): void {
    this.#known = now;
    void this.parts.changed().then(
      () => this.#watchDirectories(),
      () => undefined,
    );
  }

  #watchDirectories(): void {
    if (this.#closed) return;
    const wanted = new Set(this.parts.files().map((file) => dirname(file)));
    for (const [directory, watcher] of this.#watchers) {
      if (wanted.has(directory)) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const directory of wanted) if (!this.#watchers.has(directory)) this.#watch(directory);
    // Something may have changed between the reading and the watching.
    this.#look(this.#stamps());
  }

  #watch(directory: string): void {
    try {
      const watcher = watch(directory, () => this.#look(this.#stamps()));
      watcher.on('error', (cause) => this.#failed(directory, cause));
      this.#watchers.set(directory, watcher);
    } catch (cause) {
      this.#failed(directory, cause);
    }
  }

  #failed(directory: string, cause: unknown): void {
    this.parts.log.warn({ directory, cause }, 'not watched: SIGHUP and opitios reload still work');
  }

  /** Through links: what counts is the file that would be read. */
  #stamps(): string {
    return this.parts
      .files()
      .map((file) => {
        try {
          const { mtimeMs, size, ino, mode } = statSync(file);
          return [mtimeMs, size, ino, mode].join('/');
        } catch {
          return 'gone';
        }
      })
      .join(' ');
  }
}
