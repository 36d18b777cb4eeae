/**
 * Lines of one turn of the event loop in one write: to a pipe or a file Node writes at once and waits, so a system call
 * a request was a good part of what a request cost. Nothing waits longer than the turn; a flush writes now.
 */
import type { Writable } from 'node:stream';

/** Past this it is written in the middle of a turn. */
const CHARS_MAX = 64 * 1_024;

export class GatheredLines {
  #text = '';
  #isDue = false;

  constructor(private readonly target: Writable) {}

  write(line: string): boolean {
    this.#text += line;
    if (this.#text.length >= CHARS_MAX) this.flush();
    else if (!this.#isDue) {
      this.#isDue = true;
      setImmediate(() => {
        this.#isDue = false;
        this.flush();
      });
    }
    return true;
  }

  flush(): void {
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    this.target.write(text);
  }
}
