/** Looks for secrets where none may be: in files, in what processes show of themselves, in text that came out of them. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Needle {
  readonly name: string;
  readonly value: string;
}

/** The value as it is and as it would look in hexadecimal, base64 or a percent-encoded address. */
export function spellings({ name, value }: Needle): readonly Needle[] {
  const bytes = Buffer.from(value);
  return [
    { name, value },
    { name: `${name} in base64`, value: bytes.toString('base64').replace(/=+$/, '').slice(0, -1) },
    { name: `${name} in hexadecimal`, value: bytes.toString('hex') },
  ];
}

export class SecretHunt {
  readonly hits: string[] = [];
  bytes = 0;
  places = 0;
  readonly #needles: readonly Needle[];

  constructor(needles: readonly Needle[]) {
    this.#needles = needles.flatMap(spellings);
  }

  inText(place: string, text: string | Buffer): void {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    this.bytes += bytes.length;
    this.places += 1;
    for (const { name, value } of this.#needles) if (bytes.includes(value)) this.hits.push(`${place}: ${name}`);
  }

  /** Every regular file below, except the named ones. */
  inDirectory(directory: string, except: readonly string[] = []): void {
    if (!existsSync(directory)) return;
    for (const name of readdirSync(directory)) {
      const file = join(directory, name);
      if (except.includes(file)) continue;
      const found = statSync(file, { throwIfNoEntry: false });
      if (found?.isDirectory() === true) this.inDirectory(file, except);
      else if (found?.isFile() === true) this.inText(file, readFileSync(file));
    }
  }

  /** Command line and environment, as every process of the same user may read them (Linux). */
  inProcess(pid: number): void {
    for (const what of ['cmdline', 'environ', 'comm']) {
      const file = `/proc/${pid}/${what}`;
      if (existsSync(file)) this.inText(file, readFileSync(file));
    }
  }
}
