/** Marks in the memory of a machine: they outlive a process, and are gone with the machine. */
import type { FirstByteMark } from '../../src/kernel/domain/first-byte.js';
import type { FirstBytes } from '../../src/workers/orders/ports.js';

export class VirtualMemory {
  readonly #files = new Map<string, Set<number>>();
  #made = 0;

  /** For one process. */
  newFile(): FirstBytes {
    const file = `file-${(this.#made += 1)}`;
    this.#files.set(file, new Set());
    let last = 0;
    return {
      next: () => ({ boot: 'boot', file, number: (last += 1) }),
      set: (mark) => {
        if (mark.file === file) this.#files.get(file)?.add(mark.number);
        return true;
      },
      provesUnsent: (mark) => this.#isUnset(mark),
    };
  }

  /** The machine was cut off from power: its next processes find nothing. */
  lose(): void {
    this.#files.clear();
  }

  #isUnset({ file, number }: FirstByteMark): boolean {
    const marked = this.#files.get(file);
    return marked !== undefined && !marked.has(number);
  }
}
