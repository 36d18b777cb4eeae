/**
 * Tells a process that does not answer because it is stopped or stuck from one that is starved or busy, by the kernel's
 * account of its processor time. Where there is no /proc every silent process counts as stuck.
 */
import { readFileSync } from 'node:fs';

export class ProcessPulse {
  #pid = 0;
  #ticks = 0;

  /** Whether it has run since it was last looked at. The first look at a process says yes. */
  hasRun(pid: number): boolean {
    const ticks = processorTicks(pid);
    if (ticks === undefined) return false;
    const isFirstLook = pid !== this.#pid;
    const hasRun = isFirstLook || ticks > this.#ticks;
    this.#pid = pid;
    this.#ticks = ticks;
    return hasRun;
  }
}

/** User and system time in clock ticks (proc_pid_stat(5), fields 14 and 15). */
function processorTicks(pid: number): number | undefined {
  try {
    // The second field is the program's name in brackets and may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return undefined;
  }
}
