/**
 * The thread that watches the event loop of its process: entry of a worker thread, started by event-loop-watch. While the
 * loop stands it pauses the main thread through the inspector for as long as reading its stack takes, and no longer: a
 * pause ends with the session whatever happens here.
 */
import { writeSync } from 'node:fs';
import { Session, type Debugger } from 'node:inspector/promises';
import { Writable } from 'node:stream';
import { parentPort, workerData } from 'node:worker_threads';
import { SystemClock } from '../../kernel/runtime/system-clock.js';
import { createLog } from '../../kernel/telemetry/bunyan-log.js';
import { BEAT_MS, BLOCKED_MS } from './loop-witness-limits.js';

const { beats, fields } = workerData as { readonly beats: Int32Array; readonly fields: Record<string, unknown> };
/** Reading a stack makes the inspector list every script: not more often than this. */
const READ_AGAIN_MS = 10_000;
const PAUSE_MS = 2_000;
const FRAMES_MAX = 30;
const STDOUT = 1;

const clock = new SystemClock();
// The streams of a thread pass through the very loop that stands.
const stream = new Writable({
  write: (chunk: Buffer, _encoding, done) => {
    writeSync(STDOUT, chunk);
    done();
  },
});
const log = createLog({ level: 'warn', fields, stream });

parentPort?.postMessage('watching');
await watch();

async function watch(): Promise<never> {
  let seen = Atomics.load(beats, 0);
  let seenAt = clock.monotonicMs();
  let readAt = -Infinity;
  for (;;) {
    const before = clock.monotonicMs();
    await clock.sleep(BEAT_MS);
    const now = clock.monotonicMs();
    const count = Atomics.load(beats, 0);
    // We ourselves were late: the whole process stood still (stopped, starved), and no stack explains that.
    if (count !== seen || now - before > BEAT_MS * 3) {
      seen = count;
      seenAt = now;
    } else if (now - seenAt > BLOCKED_MS && now - readAt > READ_AGAIN_MS) {
      readAt = now;
      const stack = await stackOfMain(() => Atomics.load(beats, 0) !== count);
      const blockedMs = Math.round(now - seenAt);
      if (stack !== undefined) log.warn({ blockedMs, stack }, 'event loop is blocked');
    }
  }
}

/** Undefined when the loop turned again first, or stands where no JavaScript runs. */
async function stackOfMain(hasTurned: () => boolean): Promise<readonly string[] | undefined> {
  const session = new Session();
  try {
    session.connectToMainThread();
    const scripts = new Map<string, string>();
    session.on('Debugger.scriptParsed', ({ params }) => scripts.set(params.scriptId, params.url));
    const paused = new Promise<readonly Debugger.CallFrame[]>((resolve) => {
      session.once('Debugger.paused', ({ params }) => resolve(params.callFrames));
    });
    // Together: Node interrupts the main thread for the second message, not for the first alone.
    const asked = [session.post('Debugger.enable'), session.post('Debugger.pause')];
    for (const one of asked) one.catch(() => undefined);
    const limit = new AbortController();
    const frames = await Promise.race([paused, clock.sleep(PAUSE_MS, limit.signal)]);
    limit.abort();
    if (hasTurned()) return undefined;
    return frames?.slice(0, FRAMES_MAX).map((frame) => shown(frame, scripts));
  } catch {
    return undefined;
  } finally {
    session.disconnect();
  }
}

function shown({ functionName, location }: Debugger.CallFrame, scripts: ReadonlyMap<string, string>): string {
  const file = scripts.get(location.scriptId) ?? '';
  return `${functionName === '' ? '(anonymous)' : functionName} ${file}:${location.lineNumber + 1}`;
}
