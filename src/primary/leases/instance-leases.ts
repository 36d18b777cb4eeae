/**
 * Turns leases into ownership: what this instance is given goes to its workers, what it loses is let go first. Workers
 * are told how long the leases are good for and compare with their own clock; the primary is never in an order's way.
 */
import type { SharedTradingState } from '../../kernel/domain/account-request.js';
import { isAccountId, MASTER_ACCOUNT_ID, type AccountId } from '../../kernel/domain/identifiers.js';
import type { AccountGrant } from '../../kernel/ipc/control.js';
import {
  slotOf,
  type GrantLease,
  type InstanceAddress,
  type InstancesView,
  type LeaseWord,
} from '../../kernel/ipc/instances.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { AssignmentTable } from '../assignment.js';
import type { Grants } from '../grants.js';
import { placeNew, type Ownership } from '../partition.js';
import type { Supervisor } from '../supervisor.js';
import type { AcquiredSlot, LeaseKeeper, LeaseListener } from './lease-keeper.js';
import type { LeaseView, Member } from './lease-store.js';
import { fairShares } from './slots.js';

export interface InstanceLeasesParts {
  readonly instanceId: string;
  readonly slots: number;
  /** Opened after the leases are put together: it asks them for the least epoch. */
  readonly table: () => AssignmentTable;
  readonly supervisor: () => Supervisor | undefined;
  readonly grants: () => Grants;
  /** Puts a trading state in force at the account's worker. */
  readonly setTradingState: (accountId: AccountId, shared: SharedTradingState) => Promise<unknown>;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
}

/** Past this the gateway says ready without its share: orders are refused for what nobody holds. */
const SETTLE_MS = 15_000;
const LOOK_MS = 50;
/** A beat may time out once before the store has a trading state. */
const TOLD_WITHIN_MS = 2_000;
const ENFORCE_AGAIN_MS = 200;
/** Survives JSON, which Infinity does not. */
const FOR_EVER_MS = Number.MAX_SAFE_INTEGER;

export class InstanceLeases implements LeaseListener {
  readonly #leases = new Map<number, GrantLease>();
  #word: LeaseWord = { validUntilMs: 0, wallLeadMs: 0, held: [] };
  #view: InstancesView;
  #keeper: LeaseKeeper | undefined;
  #isPinned = false;
  #halts: ReadonlyMap<string, SharedTradingState> = new Map();
  readonly #inForceSince = new Map<AccountId, number>();
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(private readonly parts: InstanceLeasesParts) {
    this.#view = { self: parts.instanceId, members: [], owners: Array<null>(parts.slots).fill(null) };
  }

  /** What a starting worker must know. */
  forStart(): { readonly view: InstancesView; readonly lease: LeaseWord } {
    return { view: this.#view, lease: this.#word };
  }

  isHere(accountId: AccountId): boolean {
    return this.#leaseOf(accountId) !== undefined;
  }

  /** Below this no epoch of the account is given. */
  epochFloorOf(accountId: AccountId): number {
    return this.#leaseOf(accountId)?.epoch ?? 0;
  }

  /** Grants with the leases they stand under. One whose lease is gone stays without: its fence never opens. */
  mark(grants: readonly AccountGrant[]): readonly AccountGrant[] {
    return grants.map((grant) => {
      const trading = this.#tradingOf(grant.accountId);
      if (trading !== undefined) this.#inForceSince.set(grant.accountId, trading.at);
      return {
        ...grant,
        lease: this.#leaseOf(grant.accountId) ?? { slot: -1, epoch: 0, cleanAtMs: 0 },
        ...(trading !== undefined && { trading }),
      };
    });
  }

  /**
   * Set at this instance; `*` is every account. The others are told, and so is a later owner.
   * @returns false when the store has not taken it in time. It is told as soon as the store answers.
   */
  async share(key: AccountId | '*', state: SharedTradingState): Promise<boolean> {
    const keys = key === '*' ? this.parts.table().ownership().keys() : [key];
    if (key === '*' || this.isHere(key)) for (const accountId of keys) this.#note(accountId, state.at);
    if (this.#keeper === undefined) return false;
    const limit = new AbortController();
    const late = this.parts.clock.sleep(TOLD_WITHIN_MS, limit.signal).then(() => false);
    const told = this.#keeper.share(key, state).then(() => true);
    return Promise.race([told, late]).finally(() => limit.abort());
  }

  onHalts(halts: ReadonlyMap<string, SharedTradingState>): void {
    this.#halts = halts;
    this.#enforce();
  }

  /** Again and again until it is in force: a worker that is being replaced refuses at first. */
  #enforce(): void {
    const { clock, log, setTradingState, table } = this.parts;
    if (this.#stop.signal.aborted) return;
    for (const accountId of table().ownership().keys()) {
      const trading = accountId === MASTER_ACCOUNT_ID ? undefined : this.#tradingOf(accountId);
      if (trading === undefined || trading.at <= (this.#inForceSince.get(accountId) ?? 0)) continue;
      this.#note(accountId, trading.at);
      setTradingState(accountId, trading).catch((cause: unknown) => {
        this.#inForceSince.delete(accountId);
        log.warn({ accountId, cause }, 'a trading state of another instance is not in force yet');
        clock.after(ENFORCE_AGAIN_MS, () => this.#enforce());
      });
    }
  }

  #note(accountId: AccountId, at: number): void {
    this.#inForceSince.set(accountId, Math.max(at, this.#inForceSince.get(accountId) ?? 0));
  }

  /** The newer of what was said of the account and of all. */
  #tradingOf(accountId: AccountId): SharedTradingState | undefined {
    const [own, every] = [this.#halts.get(accountId), this.#halts.get('*')];
    if (own === undefined || every === undefined) return own ?? every;
    return own.at >= every.at ? own : every;
  }

  /** Begins to beat. Resolves when every slot has a holder and ours are granted, or after a while without. */
  async start(keeper: LeaseKeeper): Promise<void> {
    const { clock, log } = this.parts;
    this.#keeper = keeper;
    this.#running = keeper.run(this.#stop.signal);
    const end = clock.monotonicMs() + SETTLE_MS;
    while (!this.#isSettled() && clock.monotonicMs() < end) await clock.sleep(LOOK_MS, this.#stop.signal);
    if (!this.#isSettled()) log.warn({}, 'leases have not settled yet');
    await this.#untilOpen(end);
  }

  /** Ownership by a list that is the same everywhere: no store, no take-over, no end. */
  async pin(instances: readonly InstanceAddress[], epoch: number): Promise<void> {
    const { instanceId, slots, clock } = this.parts;
    const ids = instances.map((one) => one.instanceId);
    const shares = fairShares(slots, ids);
    const mine = [...shares].filter(([, owner]) => owner === instanceId).map(([slot]) => slot);
    this.#isPinned = true;
    this.onView(
      instances.map((one) => ({ instanceId: one.instanceId, advertiseUrl: one.url })),
      Array.from({ length: slots }, (_, slot) => ({ instanceId: shares.get(slot) ?? '', epoch: 0 })),
    );
    this.onAcquired(mine.map((slot) => ({ slot, epoch, cleanAtMs: clock.monotonicMs() })));
    this.onRenewed(FOR_EVER_MS, FOR_EVER_MS, new Map(mine.map((slot) => [slot, epoch])));
    await this.#untilOpen(clock.monotonicMs() + SETTLE_MS);
  }

  /** Hands everything over to the others, then stops beating. */
  async leave(): Promise<void> {
    await this.#keeper?.leave();
    this.#stop.abort();
    await this.#running;
  }

  readiness(): readonly string[] {
    const keeper = this.#keeper;
    if (this.#isPinned) return [];
    if (keeper === undefined || keeper.lastGoodBeatMs === 0) return ['the lease store has not answered yet'];
    if (!keeper.isValid()) return ['the leases have lapsed: the lease store does not answer'];
    return [];
  }

  /** For `/pool` and the metrics. */
  describe(): Readonly<Record<string, unknown>> {
    const now = this.parts.clock.monotonicMs();
    const keeper = this.#keeper;
    return {
      mode: this.#isPinned ? 'pinned' : 'lease',
      valid_for_ms: this.#isPinned ? null : Math.max(0, Math.round((keeper?.validUntilMs ?? 0) - now)),
      last_renewed_age_ms:
        keeper === undefined || keeper.lastGoodBeatMs === 0 ? null : Math.round(now - keeper.lastGoodBeatMs),
      members: this.#view.members.map(({ instanceId, url }) => ({
        instance_id: instanceId,
        url,
        slots: this.#view.owners.filter((owner) => owner === instanceId).length,
      })),
      slots: [...this.#leases.values()].map(({ slot, epoch }) => ({ slot, epoch })),
      unowned_slots: this.#view.owners.filter((owner) => owner === null).length,
    };
  }

  /** Right before they are read: a lease's age changes by itself. */
  gauge(): void {
    const { clock, meter } = this.parts;
    const now = clock.monotonicMs();
    const owners = this.#view.owners;
    meter.gauge('opitios_instances', this.#view.members.length);
    meter.gauge('opitios_lease_slots_held', this.#leases.size);
    meter.gauge('opitios_lease_slots_unowned', owners.filter((owner) => owner === null).length);
    meter.gauge('opitios_lease_epoch', Math.max(0, ...[...this.#leases.values()].map(({ epoch }) => epoch)));
    const keeper = this.#keeper;
    if (keeper === undefined) return;
    meter.gauge('opitios_lease_valid_seconds', Math.max(0, keeper.validUntilMs - now) / 1_000);
    if (keeper.lastGoodBeatMs > 0) meter.gauge('opitios_lease_age_seconds', (now - keeper.lastGoodBeatMs) / 1_000);
  }

  onAcquired(acquired: readonly AcquiredSlot[]): void {
    for (const { slot, epoch, cleanAtMs } of acquired) this.#leases.set(slot, { slot, epoch, cleanAtMs });
    this.parts.log.info({ slots: acquired.length }, 'leases acquired');
    this.parts.meter.count('opitios_leases_acquired_total', {}, acquired.length);
    void this.#change('acquire', (supervisor) => this.#take(acquired, supervisor));
  }

  onLost(slots: readonly number[]): void {
    for (const slot of slots) this.#leases.delete(slot);
    this.parts.meter.count('opitios_leases_lost_total', {}, slots.length);
    void this.#change('lost', (supervisor) => this.#letGo(slots, supervisor));
  }

  async onRelease(slots: readonly number[]): Promise<void> {
    const { log } = this.parts;
    log.info({ slots: slots.length }, 'leases given up');
    await this.#change('release', async (supervisor) => {
      await this.#letGo(slots, supervisor);
      for (const slot of slots) this.#leases.delete(slot);
    });
  }

  onRenewed(validUntilMs: number, wallLeadMs: number, held: ReadonlyMap<number, number>): void {
    this.#word = { validUntilMs, wallLeadMs, held: [...held] };
    this.parts.supervisor()?.broadcast({ kind: 'lease', ...this.#word });
  }

  onView(members: readonly Member[], owners: LeaseView['owners']): void {
    const view: InstancesView = {
      self: this.parts.instanceId,
      members: members.map(({ instanceId, advertiseUrl }) => ({ instanceId, url: advertiseUrl })),
      owners: Array.from({ length: this.parts.slots }, (_, slot) => owners[slot]?.instanceId ?? null),
    };
    if (JSON.stringify(view) === JSON.stringify(this.#view)) return;
    this.#view = view;
    this.parts.supervisor()?.broadcast({ kind: 'instances', view });
  }

  #leaseOf(accountId: AccountId): GrantLease | undefined {
    return this.#leases.get(slotOf(accountId, this.parts.slots));
  }

  #isSettled(): boolean {
    return this.#view.owners.every((owner) => owner !== null) && (this.#keeper?.isValid() ?? false);
  }

  /** Until every account that was granted has a session, or the time is up: one that cannot be opened keeps nobody. */
  async #untilOpen(end: number): Promise<void> {
    const { clock, supervisor, table } = this.parts;
    await supervisor()?.exclusively(() => Promise.resolve());
    const missing = (): boolean => {
      const accounts = [...table().ownership().keys()].filter((accountId) => accountId !== MASTER_ACCOUNT_ID).length;
      const workers = [...(supervisor()?.active().values() ?? [])];
      const open = workers.flatMap(({ sessions }) => Object.values(sessions)).reduce((sum, count) => sum + count, 0);
      return open < accounts;
    };
    while (missing() && clock.monotonicMs() < end) await clock.sleep(LOOK_MS, this.#stop.signal);
  }

  /** What an older lease left open here is let go first: its grants are of another epoch. */
  async #take(acquired: readonly AcquiredSlot[], supervisor: Supervisor): Promise<void> {
    const { grants } = this.parts;
    const table = this.parts.table();
    const still = new Set(
      acquired.filter(({ slot, epoch }) => this.#leases.get(slot)?.epoch === epoch).map(({ slot }) => slot),
    );
    const accounts = grants()
      .accountIds()
      .filter((accountId) => still.has(slotOf(accountId, this.parts.slots)));
    await this.#release(accounts, supervisor);
    const moves = placeNew(accounts, [...supervisor.active().keys()], table.ownership());
    await supervisor.grant(table.move(moves), grants());
    supervisor.announceOwnership();
  }

  async #letGo(slots: readonly number[], supervisor: Supervisor): Promise<void> {
    const gone = new Set(slots);
    const accounts = [...this.parts.table().ownership().keys()].filter((accountId) =>
      gone.has(slotOf(accountId, this.parts.slots)),
    );
    await this.#release(accounts, supervisor);
    supervisor.announceOwnership();
  }

  async #release(accounts: readonly string[], supervisor: Supervisor): Promise<void> {
    const table = this.parts.table();
    const ownership = table.ownership();
    const leaving: Ownership = new Map(
      accounts.filter(isAccountId).flatMap((accountId) => {
        const slot = ownership.get(accountId);
        return slot === undefined ? [] : [[accountId, slot] as const];
      }),
    );
    if (leaving.size === 0) return;
    await supervisor.release(leaving);
    table.remove([...leaving.keys()]);
  }

  /** In the order of their coming, and never beside another change of ownership. */
  async #change(what: string, change: (supervisor: Supervisor) => Promise<void>): Promise<void> {
    const supervisor = this.parts.supervisor();
    if (supervisor === undefined) return;
    await supervisor
      .exclusively(() => change(supervisor))
      .catch((cause: unknown) => this.parts.log.error({ cause, what }, 'ownership could not follow the leases'));
  }
}
