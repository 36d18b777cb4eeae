/**
 * Where long work is done: in this worker's thread pool or inline. Chosen once, at construction. A full queue refuses at
 * once instead of growing; a task whose client left leaves the queue. A task that already runs is let finish: stopping
 * it would cost a thread, and none takes longer than a large chain.
 */
import { Piscina } from 'piscina';
import { GatewayError } from '../../kernel/domain/errors.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { silentTracer, traced, type Tracer } from '../../kernel/runtime/tracer.js';
import type { ComposeTask, ResultOf, RunTask, Task } from '../../threads/tasks.js';

export interface RunOptions {
  /** Light work may run inline even where there are threads: the way there and back would cost more. */
  readonly light: boolean;
  readonly signal?: AbortSignal;
}

export interface Batch {
  readonly threads: number;
  /** Starts the threads. A task before that starts them too, and waits. */
  begin(): void;
  /** Buffers inside the task are given away. @throws GatewayError QUEUE_FULL, CALL_CANCELED */
  run<T extends Task>(task: T, options: RunOptions): Promise<ResultOf<T>>;
  /** Nobody reads the body of an earlier `compose` any more: the next one may be written over it. */
  giveBack(body: Uint8Array): void;
  close(): Promise<void>;
}

export interface BatchOptions {
  /** 0 runs everything inline. */
  readonly threads: number;
  /** URL or path of the built threads/main.js. */
  readonly entry: string;
  /** Tasks waiting for a thread; one more is refused. */
  readonly queueMax: number;
  readonly tracer?: Tracer;
  /** For how long a task waited for a thread, and ran in it. */
  readonly measure?: { readonly clock: Clock; readonly meter: Meter };
}

export function createBatch(options: BatchOptions, runInline: RunTask): Batch {
  return options.threads === 0 ? new InlineBatch(runInline) : new PooledBatch(options, runInline);
}

export class InlineBatch implements Batch {
  readonly threads = 0;

  constructor(private readonly runInline: RunTask) {}

  begin(): void {
    // Nothing to start.
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a throw must become a rejection, as from a thread
  async run<T extends Task>(task: T, options: RunOptions): Promise<ResultOf<T>> {
    if (options.signal?.aborted === true) throw new GatewayError('CALL_CANCELED');
    return this.runInline(task) as ResultOf<T>;
  }

  giveBack(): void {
    // What was made here is the collector's.
  }

  async close(): Promise<void> {
    // Nothing was opened.
  }
}

/** One is filled while others are on their way to clients. */
const ROOMS_A_THREAD = 4;
/** What was put together inline is smaller, and would take the place of what a thread can use. */
const ROOM_BYTES_MIN = 64 << 10;
const ROOM_BYTES_MAX = 4 << 20;

interface Waiter {
  readonly start: () => void;
}

export class PooledBatch implements Batch {
  readonly threads: number;
  #pool: Piscina | undefined;
  readonly #inline: InlineBatch;
  readonly #queue = new Set<Waiter>();
  /**
   * Memory on its way around: to a thread, back with an answer, and to a thread again. Left to the collector, a quarter of
   * a megabyte an answer made it stop the event loop for 5 to 14 ms twice a second.
   */
  readonly #rooms: Uint8Array[] = [];
  #running = 0;

  constructor(
    private readonly options: BatchOptions,
    runInline: RunTask,
  ) {
    this.threads = options.threads;
    this.#inline = new InlineBatch(runInline);
  }

  begin(): void {
    this.#begun();
  }

  async run<T extends Task>(task: T, options: RunOptions): Promise<ResultOf<T>> {
    if (options.light) return this.#inline.run(task, options);
    return traced(this.options.tracer ?? silentTracer, ['internal', `thread ${task.kind}`], () =>
      this.#inThread(task, options.signal),
    );
  }

  async #inThread<T extends Task>(task: T, signal: AbortSignal | undefined): Promise<ResultOf<T>> {
    const askedAt = this.#now();
    await this.#takeTurn(signal);
    const beganAt = this.#now();
    this.#observe('wait', beganAt - askedAt);
    try {
      const sent = task.kind === 'compose' ? this.#withRoom(task) : task;
      const running: Promise<unknown> = this.#begun().run(sent, { transferList: transfersOf(sent) });
      return (await running) as ResultOf<T>;
    } finally {
      this.#observe('run', this.#now() - beganAt);
      this.#giveTurn();
    }
  }

  giveBack(body: Uint8Array): void {
    const { buffer } = body;
    if (!(buffer instanceof ArrayBuffer)) return;
    if (buffer.byteLength < ROOM_BYTES_MIN || buffer.byteLength > ROOM_BYTES_MAX) return;
    if (this.#rooms.length < this.threads * ROOMS_A_THREAD) this.#rooms.push(new Uint8Array(buffer));
  }

  #withRoom(task: ComposeTask): ComposeTask {
    const room = this.#rooms.pop();
    return room === undefined ? task : { ...task, room };
  }

  #begun(): Piscina {
    const { threads, entry } = this.options;
    this.#pool ??= new Piscina({
      filename: entry,
      name: 'work',
      // All of them at once and for good: a thread started under load would come too late.
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Infinity,
      // Our own queue stands in front; this one holds only what waits for threads that are still starting.
      maxQueue: threads,
      recordTiming: false,
    });
    return this.#pool;
  }

  #now(): number {
    return this.options.measure?.clock.monotonicMs() ?? 0;
  }

  #observe(part: 'wait' | 'run', ms: number): void {
    this.options.measure?.meter.observe('opitios_thread_task_seconds', ms / 1_000, { part });
  }

  async close(): Promise<void> {
    await this.#pool?.destroy();
  }

  #takeTurn(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(new GatewayError('CALL_CANCELED'));
    if (this.#running < this.threads) {
      this.#running += 1;
      return Promise.resolve();
    }
    if (this.#queue.size >= this.options.queueMax) {
      return Promise.reject(new GatewayError('QUEUE_FULL', { queue: 'threads', depth: this.#queue.size }));
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#queue.delete(waiter);
        reject(new GatewayError('CALL_CANCELED'));
      };
      const waiter: Waiter = {
        start: () => {
          signal?.removeEventListener('abort', leave);
          resolve();
        },
      };
      this.#queue.add(waiter);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  /** The turn passes straight to who waited longest. */
  #giveTurn(): void {
    const [next] = this.#queue;
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    this.#queue.delete(next);
    next.start();
  }
}

/** Each buffer once. A view into the pool that small buffers share must be copied instead. */
function transfersOf(task: Task): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { buffer, byteLength } of viewsOf(task)) {
    if (!(buffer instanceof ArrayBuffer)) continue;
    // What was read from a socket begins with the head of its answer, and nobody else looks at it.
    const isOwn = byteLength === buffer.byteLength || buffer.byteLength > Buffer.poolSize;
    if (isOwn) buffers.add(buffer);
  }
  return [...buffers];
}

function viewsOf(task: Task): readonly Uint8Array[] {
  if (task.kind === 'compose') return task.room === undefined ? [task.states] : [task.states, task.room];
  return task.kind === 'latest' ? [task.page] : task.pages.flat();
}
