/**
 * The AdminDoor of a worker: admin routes called here are carried out by the primary. Bounded, with a deadline; the
 * primary's judgement of readiness is kept as last heard.
 */
import type { AccountAnswer } from '../../kernel/domain/account-request.js';
import type { AdminRequest, WorkerMessage } from '../../kernel/ipc/control.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { AdminDoor, Readiness } from './admin-door.js';

/** A reload opens and closes accounts: that takes its time. */
const DEADLINE_MS = 60_000;
const WAITING_MAX = 100;

export class PrimaryAdminDoor implements AdminDoor {
  readonly #waiting = new Map<number, (answer: AccountAnswer) => void>();
  #lastId = 0;
  #readiness: Readiness = { ready: false, reasons: ['this worker is starting'] };

  constructor(
    private readonly send: (message: WorkerMessage) => void,
    private readonly clock: Clock,
  ) {}

  execute(request: AdminRequest): Promise<AccountAnswer> {
    if (this.#waiting.size >= WAITING_MAX) return Promise.resolve(refusal('too many administrative requests wait'));
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      const stopTimer = this.clock.after(DEADLINE_MS, () => this.answered(id, refusal('the primary did not answer')));
      this.#waiting.set(id, (answer) => {
        stopTimer();
        resolve(answer);
      });
      this.send({ kind: 'admin', id, request });
    });
  }

  answered(id: number, answer: AccountAnswer): void {
    const resolve = this.#waiting.get(id);
    this.#waiting.delete(id);
    resolve?.(answer);
  }

  heardReadiness(readiness: Readiness): void {
    this.#readiness = readiness;
  }

  readiness(): Readiness {
    return this.#readiness;
  }
}

function refusal(detail: string): AccountAnswer {
  return { kind: 'problem', problem: { code: 'overloaded', detail, retryAfterS: 1 } };
}
