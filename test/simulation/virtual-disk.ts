/** A disk that keeps what was synced and loses the rest: of a commit under way at the crash, all or nothing is there. */
import { GatewayError } from '../../src/kernel/domain/errors.js';
import type { AuditEntry, AuditLog, AuditQuery, AuditRecord } from '../../src/kernel/audit/audit-log.js';
import type { KeyBounds, Store, StoreWrite } from '../../src/kernel/journal/store.js';
import type { SeededRandom } from './seeded-random.js';
import type { VirtualTime } from './virtual-time.js';

export interface Process {
  isAlive: boolean;
}

export interface DiskFaults {
  diskFault: number;
  auditFault: number;
  slowDisk: number;
}

function syncMs(random: SeededRandom, faults: DiskFaults): number {
  return random.chance(faults.slowDisk) ? random.between(50, 500) : random.between(0.2, 3);
}

/** What a slot has on disk; outlives the process. */
export class Platter {
  readonly data = new Map<string, Uint8Array>();
  /** When each intent was last begun, in the time that no clock step touches: written together with its open mark. */
  readonly begunAt = new Map<string, number>();
  pending: (readonly StoreWrite[])[] = [];

  apply(writes: readonly StoreWrite[]): void {
    for (const { key, value } of writes) {
      if (value === undefined) this.data.delete(key);
      else this.data.set(key, value);
    }
  }

  /** In order: a later commit is never there without an earlier one. */
  crash(random: SeededRandom): void {
    for (const writes of this.pending) {
      if (random.chance(0.5)) break;
      this.apply(writes);
    }
    this.pending = [];
  }
}

export class VirtualStore implements Store {
  constructor(
    private readonly platter: Platter,
    private readonly time: VirtualTime,
    private readonly random: SeededRandom,
    private readonly process: Process,
    private readonly faults: DiskFaults,
  ) {}

  get(key: string): Uint8Array | undefined {
    return this.platter.data.get(key);
  }

  range(prefix: string): Iterable<{ readonly key: string; readonly value: Uint8Array }> {
    const found = [...this.platter.data].filter(([key]) => key.startsWith(prefix));
    return found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => ({ key, value }));
  }

  bounds(prefix: string): KeyBounds | undefined {
    const keys = [...this.range(prefix)].map(({ key }) => key);
    const [first, last] = [keys[0], keys.at(-1)];
    return first === undefined || last === undefined ? undefined : { first, last };
  }

  commit(writes: readonly StoreWrite[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.process.isAlive) return;
      const isBrought = writes.some(({ key }) => key.endsWith('/h'));
      const open = isBrought ? undefined : writes.find(({ key, value }) => key.includes('/u/') && value !== undefined);
      if (open !== undefined) this.platter.begunAt.set(open.key.replace('/u/', '/'), this.time.now);
      const fails = this.random.chance(this.faults.diskFault);
      if (!fails) this.platter.pending.push(writes);
      this.time.at(syncMs(this.random, this.faults), () => {
        if (!this.process.isAlive) return;
        if (fails) {
          reject(new GatewayError('JOURNAL_BROKEN', { trouble: 'disk full' }));
          return;
        }
        // Synced in the order asked for: this one's turn brings those before it.
        while (this.platter.pending.includes(writes)) this.platter.apply(this.platter.pending.shift()!);
        resolve();
      });
    });
  }

  trouble(): string | undefined {
    return undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export class VirtualAudit implements AuditLog {
  constructor(
    private readonly records: AuditRecord[],
    private readonly time: VirtualTime,
    private readonly random: SeededRandom,
    private readonly process: Process,
    private readonly faults: DiskFaults,
  ) {}

  append(entry: AuditEntry): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.process.isAlive) return;
      const fails = this.random.chance(this.faults.auditFault);
      this.time.at(syncMs(this.random, this.faults), () => {
        if (!this.process.isAlive) return;
        if (fails) {
          reject(new GatewayError('AUDIT_BROKEN'));
          return;
        }
        const at = new Date(Math.floor(this.time.now + this.time.wallOffset)).toISOString();
        const place = { seq: this.records.length, writer: 'sim', monotonicMs: this.time.now, previous: '', hash: '' };
        this.records.push({ ...entry, ...place, at });
        resolve();
      });
    });
  }

  healthy(): boolean {
    return true;
  }

  async *read(query: AuditQuery): AsyncIterable<AuditRecord> {
    await Promise.resolve();
    for (const record of this.records) {
      const isAsked = query.accountId === undefined || record.accountId === query.accountId;
      if (isAsked && (query.kinds?.includes(record.kind) ?? true)) yield record;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
