/**
 * The audit log of one writer. Records that wait together are written together and made durable by one fdatasync. It is
 * in one of these states:
 *
 * - writing: entered by opening, or by a recovery whose self-test passed.
 * - broken: a write or fdatasync failed. Nothing is appended: what the disk holds beyond the last durable byte is not
 *   known, and a second fdatasync that succeeds would prove nothing (docs/order-protocol.md R13). Left by recovery: the
 *   disk takes and keeps a probe, the file is cut to its last durable byte, and a new segment goes on with the chain.
 * - closed: for ever.
 *
 * Besides, while free space is under the low-water mark `healthy` is false, so that nobody starts what could not be
 * recorded to its end; what is under way is still written.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { GatewayError } from '../domain/errors.js';
import type { Clock } from '../runtime/clock.js';
import type { Log } from '../runtime/log.js';
import type { Meter } from '../runtime/meter.js';
import { nodeAppendDisk, type AppendDisk, type AppendFile } from './append-file.js';
import type { AuditEntry, AuditLog, AuditQuery, AuditRecord } from './audit-log.js';
import { chainLine, EMPTY_CHAIN, type ChainHead } from './chain.js';
import { readAudit } from './read.js';
import { dayOf, listSegments, segmentName } from './segments.js';
import { findTail } from './tail.js';

export interface AuditLogOptions {
  /** `data_dir/audit`. */
  readonly dir: string;
  /** One directory and one chain each: `worker-0`, `primary`. Two processes must never share one. */
  readonly writer: string;
  /** Free bytes under which `healthy` turns false. */
  readonly lowWaterBytes: number;
  /** How often free space is looked at and, while broken, recovery is tried. */
  readonly checkIntervalMs: number;
  /** Records that may wait for the disk; the next is refused. */
  readonly waitingMax: number;
}

export const AUDIT_DEFAULTS = { lowWaterBytes: 16 << 20, checkIntervalMs: 1_000, waitingMax: 20_000 } as const;

export interface AuditPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly disk?: AppendDisk;
}

interface Waiting {
  readonly entry: AuditEntry;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

/** Opens the writer's chain: cuts a torn tail, refuses damage before it. @throws GatewayError AUDIT_BROKEN */
export async function openAuditLog(options: AuditLogOptions, ports: AuditPorts): Promise<AuditLog> {
  const log = new FileAuditLog(options, ports);
  await log.open();
  return log;
}

class FileAuditLog implements AuditLog {
  readonly #disk: AppendDisk;
  #state: 'writing' | 'broken' | 'closed' = 'broken';
  #spaceLeft = true;
  #file: AppendFile | undefined;
  #segment: { day: string; part: number } | undefined;
  #head: ChainHead = EMPTY_CHAIN;
  #durableLength = 0;
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  readonly #stop = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  constructor(
    private readonly options: AuditLogOptions,
    private readonly ports: AuditPorts,
  ) {
    this.#disk = ports.disk ?? nodeAppendDisk;
  }

  async open(): Promise<void> {
    const { dir, writer } = this.options;
    await mkdir(join(dir, writer), { recursive: true, mode: 0o700 });
    const tail = await findTail(dir, writer);
    this.#head = tail.head;
    if (tail.segment !== undefined) {
      this.#segment = { day: tail.segment.day, part: tail.segment.part };
      this.#file = await this.#disk.open(tail.segment.path);
      this.#durableLength = tail.length;
      if (tail.torn) {
        await this.#file.truncate(tail.length);
        this.ports.log.warn({ writer, segment: tail.segment.name }, 'audit tail was torn and is cut');
      }
    }
    this.#state = 'writing';
    await this.#lookAtSpace();
    this.ports.meter.gauge('opitios_audit_healthy', this.healthy() ? 1 : 0);
    this.#watching = this.#watch();
  }

  append(entry: AuditEntry): Promise<void> {
    if (this.#state !== 'writing') return Promise.reject(new GatewayError('AUDIT_BROKEN', { state: this.#state }));
    if (this.#waiting.length >= this.options.waitingMax) {
      return Promise.reject(new GatewayError('AUDIT_BROKEN', { waiting: this.#waiting.length }));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  healthy(): boolean {
    return this.#state === 'writing' && this.#spaceLeft;
  }

  read(query: AuditQuery): AsyncIterable<AuditRecord> {
    return readAudit(this.options.dir, query);
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    await this.#flushing;
    this.#state = 'closed';
    this.#stop.abort();
    await this.#watching;
    await this.#file?.close();
  }

  async #flush(): Promise<void> {
    // Whoever asks in the same turn shares the write.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      await this.#write(batch);
    }
    this.#flushing = undefined;
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const began = this.ports.clock.monotonicMs();
    try {
      if (this.#state !== 'writing') throw new GatewayError('AUDIT_BROKEN', { state: this.#state });
      const at = new Date(this.ports.clock.now()).toISOString();
      const file = await this.#fileOf(dayOf(at));
      let head = this.#head;
      let text = '';
      for (const { entry } of batch) {
        const next = chainLine(entry, { writer: this.options.writer, at, monotonicMs: Math.round(began) }, head);
        head = next.head;
        text += next.line;
      }
      const bytes = Buffer.from(text);
      await file.append(bytes);
      this.#head = head;
      this.#durableLength += bytes.length;
    } catch (cause) {
      this.#break(cause, batch);
      return;
    }
    for (const { entry, resolve } of batch) {
      this.ports.meter.count('opitios_audit_records_total', { kind: entry.kind });
      resolve();
    }
    this.ports.meter.observe('opitios_audit_commit_seconds', (this.ports.clock.monotonicMs() - began) / 1000);
  }

  #break(cause: unknown, batch: readonly Waiting[]): void {
    if (this.#state === 'writing') {
      this.#state = 'broken';
      this.ports.meter.gauge('opitios_audit_healthy', 0);
      this.ports.log.fatal({ writer: this.options.writer, cause: String(cause) }, 'audit log broken');
    }
    const refused = [...batch, ...this.#waiting];
    this.#waiting = [];
    for (const { reject } of refused) reject(new GatewayError('AUDIT_BROKEN', {}, { cause }));
  }

  /** Days begin a new segment. A wall clock that steps back stays in the later day's: names must keep the order. */
  async #fileOf(day: string): Promise<AppendFile> {
    if (this.#file !== undefined && this.#segment !== undefined && day <= this.#segment.day) return this.#file;
    return this.#begin({ day, part: 0 });
  }

  async #begin(segment: { day: string; part: number }): Promise<AppendFile> {
    const { dir, writer } = this.options;
    await this.#file?.close();
    this.#file = undefined;
    const file = await this.#disk.open(join(dir, writer, segmentName(segment.day, segment.part)));
    this.#file = file;
    this.#segment = segment;
    this.#durableLength = await file.length();
    return file;
  }

  async #watch(): Promise<void> {
    const { clock } = this.ports;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(this.options.checkIntervalMs, this.#stop.signal);
      await this.#lookAtSpace();
      if (this.#state === 'broken' && this.#spaceLeft) await this.#recover();
      this.ports.meter.gauge('opitios_audit_healthy', this.healthy() ? 1 : 0);
    }
  }

  async #lookAtSpace(): Promise<void> {
    const free = await this.#disk.freeBytes(this.options.dir).catch(() => 0);
    const left = free >= this.options.lowWaterBytes;
    if (left !== this.#spaceLeft) {
      this.ports.log.warn({ freeBytes: free, lowWaterBytes: this.options.lowWaterBytes }, 'audit disk space changed');
    }
    this.#spaceLeft = left;
  }

  async #recover(): Promise<void> {
    try {
      await this.#selfTest();
      if (this.#file !== undefined) await this.#file.truncate(this.#durableLength);
      const segments = await listSegments(this.options.dir, this.options.writer);
      const last = segments.at(-1);
      const today = dayOf(new Date(this.ports.clock.now()).toISOString());
      await this.#begin(
        last === undefined || last.day < today ? { day: today, part: 0 } : { day: last.day, part: last.part + 1 },
      );
      this.#state = 'writing';
      this.ports.log.warn({ writer: this.options.writer }, 'audit log recovered in a new segment');
    } catch (cause) {
      this.ports.log.error({ writer: this.options.writer, cause: String(cause) }, 'audit log recovery failed');
    }
  }

  /** A disk that takes and syncs a page's worth of bytes is worth another try. */
  async #selfTest(): Promise<void> {
    const probe = await this.#disk.open(join(this.options.dir, this.options.writer, 'self-test.probe'));
    try {
      await probe.append(Buffer.alloc(4096, 0x2e));
      await probe.truncate(0);
    } finally {
      await probe.close();
    }
  }
}
