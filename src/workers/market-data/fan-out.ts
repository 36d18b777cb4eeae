/**
 * Updates on their way from the hub to the workers: one message a worker a beat, each record encoded once whoever gets
 * it. A worker that cannot take its message loses nothing but time: quotes are conflated to the newest, the rest waits
 * up to a bound and then loses its oldest, which is counted.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Mesh } from '../../kernel/ipc/mesh.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { FEED_CHANNELS, type FeedChannel, type FeedRecord } from './market-data-feed.js';

const BEAT_MS = 5;
/** Trades and bars waiting for one worker. */
const BACKLOG_MAX = 50_000;

export interface FanOutParts {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly meter: Meter;
  /** This worker's own share does not cross the mesh. */
  readonly deliverHere: (records: readonly FeedRecord[]) => void;
}

interface Outbox {
  /** Newest quote by channel and symbol. */
  readonly quotes: Map<string, FeedRecord>;
  others: FeedRecord[];
}

export class FanOut {
  readonly #outboxes = new Map<number, Outbox>();
  #cancelBeat: (() => void) | undefined;

  constructor(private readonly parts: FanOutParts) {}

  publish(record: FeedRecord, slots: Iterable<number>): void {
    for (const slot of slots) {
      // Another instance's: hub-share.ts sends it there.
      if (slot < 0) continue;
      const outbox = this.#outbox(slot);
      if (record.channel === 'quotes' || record.channel === 'option_quotes') {
        outbox.quotes.set(`${record.channel} ${record.symbol}`, record);
      } else {
        outbox.others.push(record);
      }
    }
    this.#cancelBeat ??= this.parts.clock.after(BEAT_MS, () => {
      this.#cancelBeat = undefined;
      this.#flush();
    });
  }

  slotGone(slot: number): void {
    this.#outboxes.delete(slot);
  }

  close(): void {
    this.#cancelBeat?.();
    this.#outboxes.clear();
  }

  #flush(): void {
    for (const [slot, outbox] of this.#outboxes) {
      const records = [...outbox.others, ...outbox.quotes.values()];
      if (records.length === 0) continue;
      if (!this.#send(slot, records)) {
        this.#bound(outbox);
        continue;
      }
      outbox.quotes.clear();
      outbox.others = [];
    }
  }

  #send(slot: number, records: readonly FeedRecord[]): boolean {
    if (slot === this.parts.mesh.slot) {
      this.parts.deliverHere(records);
      return true;
    }
    return this.parts.mesh.notify(slot, 'quotes', { header: {}, body: encodeRecords(records) });
  }

  #bound(outbox: Outbox): void {
    const over = outbox.others.length - BACKLOG_MAX;
    if (over <= 0) return;
    outbox.others = outbox.others.slice(over);
    this.parts.meter.count('opitios_market_data_records_dropped_total', {}, over);
  }

  #outbox(slot: number): Outbox {
    const known = this.#outboxes.get(slot);
    if (known !== undefined) return known;
    const outbox: Outbox = { quotes: new Map(), others: [] };
    this.#outboxes.set(slot, outbox);
    return outbox;
  }
}

/** A line a record: channel's index, symbol, receive time, JSON. JSON text holds no raw line feed. */
export function encodeRecords(records: readonly FeedRecord[]): Uint8Array {
  const lines = records.map(
    ({ channel, symbol, receivedAt, json }) =>
      `${String(FEED_CHANNELS.indexOf(channel))} ${symbol} ${String(receivedAt)} ${json}`,
  );
  return Buffer.from(lines.join('\n'));
}

export function decodeRecords(bytes: Uint8Array): readonly FeedRecord[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const records: FeedRecord[] = [];
  for (const line of text.split('\n')) {
    const symbolAt = line.indexOf(' ') + 1;
    const timeAt = line.indexOf(' ', symbolAt) + 1;
    const jsonAt = line.indexOf(' ', timeAt) + 1;
    const channel: FeedChannel | undefined = FEED_CHANNELS[Number(line.slice(0, symbolAt - 1))];
    if (channel === undefined || jsonAt === 0) continue;
    records.push({
      channel,
      symbol: line.slice(symbolAt, timeAt - 1),
      receivedAt: Number(line.slice(timeAt, jsonAt - 1)),
      json: line.slice(jsonAt),
    });
  }
  return records;
}
