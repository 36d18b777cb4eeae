// A process whose event loop stands still for a while, watched as a worker watches its own. Prints its log.
import { SystemClock } from '../../dist/kernel/runtime/system-clock.js';
import { createLog } from '../../dist/kernel/telemetry/bunyan-log.js';
import { watchEventLoop } from '../../dist/workers/compose/event-loop-watch.js';

const clock = new SystemClock();
const watch = watchEventLoop(clock, createLog({ level: 'info' }), { fields: { role: 'test' } });

function computesForTooLong() {
  // `performance.now` is JavaScript of Node's own: its frames would be the top of the stack now and then.
  const end = Date.now() + Number(process.argv[2]);
  let sum = 0;
  while (Date.now() < end) sum += Math.sqrt(sum + 1);
  return sum;
}

// Its thread does not keep a process alive.
const staying = setInterval(() => undefined, 1_000);
await watch.watching;
clearInterval(staying);
computesForTooLong();
await clock.sleep(600);
watch.stop();
