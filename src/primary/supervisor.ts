/**
 * Keeps one living worker in every slot. A silent worker is killed; its accounts are given away only after the kernel
 * has said that it ended (docs/order-protocol.md O2). The next worker takes the same slot and accounts under a new
 * epoch.
 */
import type { SendHandle } from 'node:child_process';
import { GatewayError } from '../kernel/domain/errors.js';
import type { AccountId } from '../kernel/domain/identifiers.js';
import type { AccountGrant, PrimaryMessage, WorkerMessage } from '../kernel/ipc/control.js';
import type { Assignment } from '../kernel/ipc/ownership.js';
import type { Clock } from '../kernel/runtime/clock.js';
import type { Log } from '../kernel/runtime/log.js';
import type { Meter } from '../kernel/runtime/meter.js';
import type { AssignmentTable } from './assignment.js';
import type { Ownership } from './partition.js';
import { keepBeating } from './heartbeat.js';
import { RestartPolicy } from './restart-policy.js';
import type { EndCause, ProcessEvents, ProcessPhase, WorkerProcess } from './worker-process.js';

export interface SupervisorParts {
  readonly fork: (events: ProcessEvents) => WorkerProcess;
  readonly table: AssignmentTable;
  /** Opens the secrets of what the slot owns now. */
  readonly startMessage: (slot: number) => Promise<PrimaryMessage>;
  /** What every worker is configured by, without any account's secret. */
  readonly workerConfig: () => unknown;
  /** The clients' socket; it goes to each worker with its start. */
  readonly socket: () => SendHandle;
  readonly onMessage: (from: WorkerProcess, message: WorkerMessage) => void;
  readonly onEnd: (ended: WorkerProcess) => void;
  /** What a grant carries besides: the lease it stands under. */
  readonly mark?: (grants: readonly AccountGrant[]) => readonly AccountGrant[];
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
}

export interface SupervisorOptions {
  readonly workers: number;
  readonly warmSpare: boolean;
}

/** Opens the secrets of what is assigned. */
export interface GrantSource {
  for(assignments: readonly Assignment[]): Promise<readonly AccountGrant[]>;
}

/** Before these a worker has not been told of any account. */
const HOLDS_ACCOUNTS: ReadonlySet<ProcessPhase> = new Set(['starting', 'ready', 'leaving']);
const HELLO_MS = 30_000;
const START_MS = 300_000;
const RELEASE_MS = 5_000;
const DRAIN_MS = 12_000;

export class Supervisor {
  readonly #processes = new Set<WorkerProcess>();
  readonly #active = new Map<number, WorkerProcess>();
  readonly #released = new WeakSet<WorkerProcess>();
  readonly #policy: RestartPolicy;
  readonly #stop = new AbortController();
  #spare: WorkerProcess | undefined;
  #rolling: Promise<void> | undefined;
  /** Asked for while that one is under way. */
  #next: Promise<void> | undefined;
  #startFailure: GatewayError | undefined;
  #hasBeenReady = false;
  #changing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly parts: SupervisorParts,
    private readonly options: SupervisorOptions,
  ) {
    this.#policy = new RestartPolicy(parts.clock);
  }

  /** One more than there are workers: a rolling restart needs room for the next one beside the last. */
  slots(): readonly number[] {
    return Array.from({ length: this.options.workers + 1 }, (_, slot) => slot);
  }

  active(): ReadonlyMap<number, WorkerProcess> {
    return this.#active;
  }

  get isStopping(): boolean {
    return this.#stop.signal.aborted;
  }

  /** The next death is answered by a worker that has started already. */
  get isSpareWarm(): boolean {
    return this.#spare?.phase === 'idle';
  }

  /** Slots without a ready worker. */
  missing(): readonly number[] {
    const ready = [...this.#active].filter(([, one]) => one.phase === 'ready');
    if (ready.length >= this.options.workers) return [];
    return [...this.#active].filter(([, one]) => one.phase !== 'ready').map(([slot]) => slot);
  }

  /** Workers have died again and again within the last minute. */
  isTroubled(): boolean {
    return this.#policy.isTroubled();
  }

  /** The table is partitioned already. @throws GatewayError WORKER_FAILED when a worker says that it cannot start */
  async start(): Promise<void> {
    void keepBeating(this.#processes, this.parts.clock, this.#stop.signal);
    const slots = this.slots().slice(0, this.options.workers);
    await Promise.all(slots.map((slot) => this.#fill(slot)));
    await Promise.all(slots.map((slot) => this.#untilReady(slot)));
    if (this.#startFailure !== undefined) throw this.#startFailure;
    this.#hasBeenReady = true;
    this.#keepSpare();
  }

  broadcast(message: PrimaryMessage): void {
    for (const one of this.#active.values()) one.send(message);
  }

  announceOwnership(): void {
    this.broadcast({ kind: 'ownership', table: this.parts.table.table() });
  }

  /**
   * One change of ownership at a time: a worker that starts during another would be granted what is just being moved.
   * @throws what the change throws
   */
  exclusively<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#changing.then(change);
    this.#changing = turn.catch(() => undefined);
    return turn;
  }

  /** A worker that has not been told to start yet finds them in the table when it is. */
  async grant(assignments: readonly Assignment[], grants: GrantSource): Promise<void> {
    for (const [slot, one] of this.#active) {
      const own = assignments.filter((assignment) => assignment.slot === slot);
      if (own.length === 0 || !HOLDS_ACCOUNTS.has(one.phase)) continue;
      const opened = await grants.for(own);
      one.send({ kind: 'grant', grants: this.parts.mark?.(opened) ?? opened });
      this.parts.meter.count('opitios_account_moves_total', {}, own.length);
    }
  }

  /** Every worker lets go of these accounts, or is dead. */
  async release(moves: Ownership): Promise<void> {
    const bySlot = new Map<number, AccountId[]>();
    for (const [accountId, slot] of moves) bySlot.set(slot, [...(bySlot.get(slot) ?? []), accountId]);
    await Promise.all(
      [...bySlot].map(async ([slot, accountIds]) => {
        const owner = this.#active.get(slot);
        if (owner !== undefined && HOLDS_ACCOUNTS.has(owner.phase)) await this.#releaseFrom(owner, accountIds);
      }),
    );
  }

  /**
   * Replaces every worker, one after the other; each hands its accounts over before it stops to listen. Asked for during
   * another one, which has replaced some already, it begins when that is done: once, however often it was asked for.
   */
  rollingRestart(): Promise<void> {
    if (this.#rolling !== undefined) {
      this.#next ??= this.#rolling.then(() => {
        this.#next = undefined;
        return this.rollingRestart();
      });
      return this.#next;
    }
    this.#rolling = this.#roll().finally(() => {
      this.#rolling = undefined;
    });
    return this.#rolling;
  }

  /** Drains, then kills what is left. */
  async stop(): Promise<void> {
    this.#stop.abort();
    for (const one of this.#processes) {
      one.phase = one.phase === 'gone' ? 'gone' : 'leaving';
      // A spare has nothing to finish, and may not listen yet.
      if (one.slot === undefined) one.kill('planned');
      else one.send({ kind: 'drain', deadlineMs: DRAIN_MS - 2_000 });
    }
    const all = Promise.all([...this.#processes].map((one) => one.ended));
    const ended = new AbortController();
    await Promise.race([all, this.parts.clock.sleep(DRAIN_MS, ended.signal)]);
    ended.abort();
    this.killAll();
    await all;
  }

  /** The second signal. */
  killAll(): void {
    this.#stop.abort();
    for (const one of this.#processes) one.kill('planned');
  }

  async #releaseFrom(owner: WorkerProcess, accountIds: readonly AccountId[]): Promise<void> {
    this.#released.delete(owner);
    owner.send({ kind: 'release', accountIds, deadlineMs: RELEASE_MS - 2_000 });
    const isReleased = await owner.until(() => this.#released.has(owner), RELEASE_MS);
    if (isReleased || owner.phase === 'gone') return;
    owner.kill('silent');
    await owner.ended;
  }

  async #roll(): Promise<void> {
    for (const [slot, old] of [...this.#active]) {
      if (this.isStopping || this.#active.get(slot) !== old) continue;
      const free = this.slots().find((candidate) => !this.#active.has(candidate));
      if (free === undefined) return;
      const next = this.#takeSpare() ?? this.#fork();
      if (!(await next.until(() => next.phase === 'idle', HELLO_MS))) {
        // The old one goes on: a restart may not make less of what there is.
        this.parts.log.error({ slot, pid: next.pid }, 'no new worker came up: the old one stays');
        next.kill('planned');
        continue;
      }
      await this.exclusively(() => this.#handOver(old, slot, next, free));
      old.send({ kind: 'ownership', table: this.parts.table.table() });
      await this.#untilReady(free);
      old.send({ kind: 'drain', deadlineMs: DRAIN_MS - 2_000 });
      if (!(await old.until(() => old.phase === 'gone', DRAIN_MS))) old.kill('planned');
      await old.ended;
      this.#keepSpare();
    }
  }

  async #handOver(old: WorkerProcess, slot: number, next: WorkerProcess, free: number): Promise<void> {
    const accountIds = this.parts.table.ownedBy(slot).map(({ accountId }) => accountId);
    this.#active.delete(slot);
    old.phase = 'leaving';
    await this.#releaseFrom(old, accountIds);
    this.parts.table.move(new Map(accountIds.map((accountId) => [accountId, free])));
    await this.#begin(next, free);
  }

  async #fill(slot: number): Promise<void> {
    const next = this.#takeSpare() ?? this.#fork();
    this.#active.set(slot, next);
    next.slot = slot;
    // Its end, if it ends, is heard by #ended, which fills the slot again.
    if (!(await next.until(() => next.phase === 'idle', HELLO_MS))) {
      next.kill('silent');
      return;
    }
    await this.exclusively(async () => {
      this.parts.table.move(new Map(this.parts.table.ownedBy(slot).map(({ accountId }) => [accountId, slot])));
      await this.#begin(next, slot);
    });
  }

  async #begin(next: WorkerProcess, slot: number): Promise<void> {
    this.#active.set(slot, next);
    next.slot = slot;
    const message = await this.parts.startMessage(slot);
    next.phase = 'starting';
    next.send(message, this.parts.socket());
    this.parts.meter.count('opitios_account_moves_total', {}, this.parts.table.ownedBy(slot).length);
    this.announceOwnership();
  }

  /** Also when the slot changes hands meanwhile. */
  async #untilReady(slot: number): Promise<void> {
    while (!this.isStopping && this.#startFailure === undefined) {
      const one = this.#active.get(slot);
      if (one?.phase === 'ready') return;
      if (one === undefined || one.phase === 'gone') await this.parts.clock.sleep(20, this.#stop.signal);
      else if (!(await one.until(() => one.phase === 'ready', START_MS))) await this.parts.clock.sleep(20);
    }
  }

  #fork(): WorkerProcess {
    const one = this.parts.fork({
      onMessage: (from, message) => this.#heard(from, message),
      onEnd: (ended, cause) => this.#ended(ended, cause),
    });
    this.#processes.add(one);
    return one;
  }

  #takeSpare(): WorkerProcess | undefined {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare?.phase === 'idle' || spare?.phase === 'forked' ? spare : undefined;
  }

  #keepSpare(): void {
    if (this.options.warmSpare && this.#spare === undefined && !this.isStopping) this.#spare = this.#fork();
  }

  #heard(from: WorkerProcess, message: WorkerMessage): void {
    if (message.kind === 'hello' && from === this.#spare)
      from.send({ kind: 'rehearse', config: this.parts.workerConfig() });
    if (message.kind === 'released') this.#released.add(from);
    if (message.kind === 'ready') this.parts.log.info({ slot: from.slot, pid: from.pid }, 'worker ready');
    if (message.kind === 'failed') {
      this.parts.log.error({ slot: from.slot, pid: from.pid, detail: message.detail }, 'worker cannot start');
      const failure = new GatewayError('WORKER_FAILED', { code: message.code }, { message: message.detail });
      if (!this.#hasBeenReady) this.#startFailure ??= failure;
    }
    this.parts.onMessage(from, message);
  }

  #ended(one: WorkerProcess, cause: EndCause): void {
    this.#processes.delete(one);
    this.parts.onEnd(one);
    this.parts.meter.count('opitios_worker_exits_total', { cause });
    if (this.#spare === one) this.#spare = undefined;
    if (this.isStopping || cause === 'planned') return;
    this.parts.log.error({ slot: one.slot, pid: one.pid, cause }, 'worker ended');
    void this.#replace(one);
  }

  async #replace(dead: WorkerProcess): Promise<void> {
    const { clock, meter, log } = this.parts;
    const diedAt = clock.monotonicMs();
    await clock.sleep(this.#policy.delayAfter(dead.readyAt), this.#stop.signal);
    const slot = dead.slot;
    if (this.isStopping) return;
    if (slot === undefined || this.#active.get(slot) !== dead) {
      this.#keepSpare();
      return;
    }
    try {
      await this.#fill(slot);
    } catch (cause) {
      log.fatal({ slot, cause }, 'a slot cannot be filled');
      throw cause;
    }
    await this.#untilReady(slot);
    meter.observe('opitios_takeover_seconds', (clock.monotonicMs() - diedAt) / 1_000);
    this.#keepSpare();
  }
}
