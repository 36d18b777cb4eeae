/**
 * One forked worker as the primary sees it: its messages, its questions with a deadline, its pulse, its end. Decides
 * nothing: the supervisor does. An end is the kernel's word ('exit'), never a missed beat.
 */
import type { SendHandle } from 'node:child_process';
import type { Worker } from 'node:cluster';
import { GatewayError } from '../kernel/domain/errors.js';
import type { PrimaryMessage, WorkerMessage } from '../kernel/ipc/control.js';
import type { Clock } from '../kernel/runtime/clock.js';
import { ProcessPulse } from './process-pulse.js';

export type ProcessPhase = 'forked' | 'idle' | 'starting' | 'ready' | 'leaving' | 'gone';
export type EndCause = 'planned' | 'crashed' | 'silent';

export interface ProcessEvents {
  onMessage(from: WorkerProcess, message: WorkerMessage): void;
  onEnd(ended: WorkerProcess, cause: EndCause): void;
}

type Answered = Extract<WorkerMessage, { readonly kind: 'collected' | 'reloaded' }>;
/** `Omit` over each member, so that the union stays one. */
type WithoutId<T> = T extends { readonly id: number } ? Omit<T, 'id'> : never;
export type Question = WithoutId<
  Extract<PrimaryMessage, { readonly kind: 'collect' | 'reload' | 'rotate' | 'execute' | 'profile' }>
>;

export class WorkerProcess {
  phase: ProcessPhase = 'forked';
  slot: number | undefined;
  readyAt: number | undefined;
  missedBeats = 0;
  readonly pulse = new ProcessPulse();
  /** Accounts by the state of their session, from the last beat. */
  sessions: Readonly<Record<string, number>> = {};
  readonly pid: number;
  readonly ended: Promise<void>;
  readonly #waiting = new Map<number, (answer: Answered | undefined) => void>();
  readonly #changes = new Set<() => void>();
  #lastId = 0;
  #cause: EndCause = 'crashed';

  constructor(
    private readonly worker: Worker,
    private readonly clock: Clock,
    events: ProcessEvents,
  ) {
    this.pid = worker.process.pid ?? 0;
    worker.on('message', (message: WorkerMessage) => {
      this.#note(message);
      events.onMessage(this, message);
      this.#changed();
    });
    worker.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      worker.on('exit', () => {
        const cause = this.phase === 'leaving' ? 'planned' : this.#cause;
        this.phase = 'gone';
        for (const answer of this.#waiting.values()) answer(undefined);
        this.#waiting.clear();
        this.#changed();
        resolve();
        events.onEnd(this, cause);
      });
    });
  }

  /** A worker whose channel is closed is about to end: what it should have heard is of no use to it. */
  send(message: PrimaryMessage, handle?: SendHandle): void {
    if (this.phase === 'gone' || !this.worker.isConnected()) return;
    try {
      this.worker.send(message, handle, () => undefined);
    } catch {
      // The channel closed between the question and the answer.
    }
  }

  /** @throws GatewayError PEER_GONE, DEADLINE_EXCEEDED */
  ask(question: Question, deadlineMs: number): Promise<Answered> {
    if (this.phase === 'gone') return Promise.reject(new GatewayError('PEER_GONE', { pid: this.pid }));
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const stopTimer = this.clock.after(deadlineMs, () => {
        this.#waiting.delete(id);
        reject(new GatewayError('DEADLINE_EXCEEDED', { slot: this.slot }));
      });
      this.#waiting.set(id, (answer) => {
        stopTimer();
        if (answer === undefined) reject(new GatewayError('PEER_GONE', { slot: this.slot }));
        else resolve(answer);
      });
      this.send({ ...question, id });
    });
  }

  kill(cause: EndCause): void {
    this.#cause = cause;
    this.worker.process.kill('SIGKILL');
  }

  /** Resolves with the truth of `holds` at the end of the process or of the time. */
  async until(holds: () => boolean, withinMs: number): Promise<boolean> {
    const end = this.clock.monotonicMs() + withinMs;
    while (!holds() && !this.#isGone() && this.clock.monotonicMs() < end) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#changes.delete(done);
          stopTimer();
          resolve();
        };
        const stopTimer = this.clock.after(end - this.clock.monotonicMs(), done);
        this.#changes.add(done);
      });
    }
    return holds();
  }

  #isGone(): boolean {
    return this.phase === 'gone';
  }

  #note(message: WorkerMessage): void {
    this.missedBeats = 0;
    switch (message.kind) {
      case 'hello':
        if (this.phase === 'forked') this.phase = 'idle';
        return;
      case 'ready':
        if (this.phase === 'starting') this.phase = 'ready';
        this.readyAt = this.clock.monotonicMs();
        return;
      case 'pong':
        this.sessions = message.sessions;
        return;
      case 'collected':
      case 'reloaded': {
        const answer = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        answer?.(message);
        return;
      }
      default:
        return;
    }
  }

  #changed(): void {
    for (const done of [...this.#changes]) done();
  }
}
