/**
 * How much garbage may gather before the collector stops everything for a full round. V8 counts the bodies that come from
 * threads and sockets as its own and takes a step of a third at a time: with chains of 5 MB it collected four times a
 * second, 5 to 14 ms each on a busy machine. See docs/decisions/0055.
 */
import { setFlagsFromString } from 'node:v8';

/** The heap may become two and a half times as large as what is alive; V8's own choice is between 1.3 and 4 times. */
const GROWTH_PERCENT = 150;

/** V8 reads the flag at the end of each round, so it may be set while the process runs. */
export function letHeapGrow(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
