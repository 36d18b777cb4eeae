/**
 * Bodies too long for a mesh frame lie as files beside the shared table, in memory where that is tmpfs. The hub writes
 * a body once under its ETag; readers in any worker read it whole, once: what has this name has these bytes. Bounded: the
 * oldest file leaves, and the longest unread bytes are forgotten. A file that left before it was read is asked for again.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const FILES_MAX = 16;
const KEPT_BYTES_MAX = 32 << 20;

export class BodyFiles {
  readonly #written = new Map<string, Promise<void>>();
  readonly #kept = new Map<string, Uint8Array>();
  #keptBytes = 0;

  constructor(private readonly directory: string) {}

  /** Returns the file's name inside the directory. */
  async write(etag: string, suffix: string, body: Uint8Array): Promise<string> {
    const name = `body-${etag.replaceAll(/[^\w-]/g, '')}${suffix}`;
    const known = this.#written.get(name);
    const writing = known ?? this.#write(name, body);
    this.#written.delete(name);
    this.#written.set(name, writing);
    await this.#evict();
    await writing;
    return name;
  }

  /** undefined when it is no longer there. */
  async read(name: string): Promise<Uint8Array | undefined> {
    if (!/^body-[\w.-]+$/.test(name)) return undefined;
    const kept = this.#kept.get(name);
    try {
      const body = kept ?? (await readFile(join(this.directory, name)));
      this.#keep(name, body);
      return body;
    } catch {
      return undefined;
    }
  }

  #keep(name: string, body: Uint8Array): void {
    if (!this.#kept.delete(name)) this.#keptBytes += body.byteLength;
    this.#kept.set(name, body);
    for (const [oldest, { byteLength }] of this.#kept) {
      if (this.#keptBytes <= KEPT_BYTES_MAX) return;
      this.#kept.delete(oldest);
      this.#keptBytes -= byteLength;
    }
  }

  async #write(name: string, body: Uint8Array): Promise<void> {
    const path = join(this.directory, name);
    // A reader never meets half a file.
    await writeFile(`${path}.part`, body, { mode: 0o600 });
    await rename(`${path}.part`, path);
  }

  async #evict(): Promise<void> {
    for (const [name, writing] of this.#written) {
      if (this.#written.size <= FILES_MAX) return;
      this.#written.delete(name);
      await writing.catch(() => undefined);
      await rm(join(this.directory, name), { force: true });
    }
  }
}
