/**
 * Tells a process that does not answer because it is stopped or stuck from one that is starved or busy, by the kernel's
 * account of its processor time. Where there is no /proc every silent process counts as stuck.
 */
import { readFileSync } from 'node:fs';

/** The text of /proc/PID/stat; undefined where there is none. */
type ReadStat = (pid: number) => string | undefined;

export class ProcessPulse {
  #pid = 0;
  #ticks = 0;

  constructor(private readonly readStat: ReadStat = statOf) {}

  /**
   * Whether it has run since it was last looked at, or wants to: one that waits for a processor is starved, not stuck,
   * even if it got less than the clock tick that the kernel counts by. The first look at a process says yes.
   */
  hasRun(pid: number): boolean {
    // The second field is the program's name in brackets and may hold anything (proc_pid_stat(5)).
    const [state, ...fields] = this.readStat(pid)?.split(') ').at(-1)?.split(' ') ?? [];
    if (state === undefined) return false;
    // Fields 14 and 15: user and system time in clock ticks.
    const ticks = Number(fields[10]) + Number(fields[11]);
    const isFirstLook = pid !== this.#pid;
    const hasRun = isFirstLook || ticks > this.#ticks || state === 'R';
    this.#pid = pid;
    this.#ticks = ticks;
    return hasRun;
  }
}

function statOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
}
