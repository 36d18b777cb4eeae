/**
 * The shared quote table under a busy feed: `npm run bench -- table [seconds] [symbols] [updates per second]`, by
 * default 60 s of 20,000 quotes a second over 2,000 symbols. This process does the hub's work for each update (msgpack
 * frame, JSON record, table); another process reads. The yardstick beside it decodes the same frames into a Map: what
 * remains is the price of sharing.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encode } from '@msgpack/msgpack';
import { QuoteTable, recordKey } from '../src/kernel/shared-memory/quote-table.js';
import { quoteText } from '../src/kernel/shared-memory/record-text.js';
import { TableWriter } from '../src/kernel/shared-memory/table-writer.js';
import { FrameDecoder } from '../src/workers/market-data/stream-frames.js';

export const isBenchmark = true;

const SIZE_MB = 64;
const MARKER = recordKey('trade', 'bench', 'MARKER');
const FRAME_RECORDS = 100;
const ORIGIN = { source: 'stream', feed: 'bench' };

const now = (): number => performance.timeOrigin + performance.now();
const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

if (process.argv[2] === 'reader') await read(process.argv[3] ?? '');
else await write(Number(process.argv[2] ?? 60), Number(process.argv[3] ?? 2_000), Number(process.argv[4] ?? 20_000));

/** Asks for the marker as fast as the loop turns, and at the end for the last value of every symbol. */
async function read(directory: string): Promise<void> {
  const table = QuoteTable.open(directory, SIZE_MB);
  const lags: number[] = [];
  let last = 0;
  let wanted: Readonly<Record<string, number>> | undefined;
  process.on('message', (message) => {
    wanted = message as Record<string, number>;
  });
  while (wanted === undefined) {
    table.refresh();
    const marker = table.read(MARKER);
    // Each marker once, when it is first seen: how long after it was handed to the writer.
    if (marker !== undefined && marker.receivedAt !== last) {
      last = marker.receivedAt;
      lags.push(now() - last);
    }
    await pause(1);
  }
  table.refresh();
  const lost = Object.entries(wanted).filter(([symbol, size]) => {
    const record = table.read(recordKey('quote', 'bench', symbol));
    return record === undefined || !Buffer.from(record.text).includes(`"ask_size":${String(size)},`);
  });
  process.send?.({ lags: [...lags].sort((a, b) => a - b), lost: lost.length });
  await table.close();
  process.disconnect();
}

async function write(seconds: number, symbolCount: number, perSecond: number): Promise<void> {
  const directory = mkdtempSync(join(process.platform === 'linux' ? '/dev/shm' : '.', 'opitios-bench-table-'));
  const table = QuoteTable.open(directory, SIZE_MB);
  let failures = 0;
  let transactions = 0;
  const writer = new TableWriter(table, {
    entriesMax: 50_000,
    onFailure: () => (failures += 1),
    onWritten: () => (transactions += 1),
  });
  const reader = fork(fileURLToPath(import.meta.url), ['reader', directory]);
  try {
    const symbols = Array.from({ length: symbolCount }, (_, index) => `S${String(index)}`);
    const frames = framesOf(symbols);
    const map = new Map<string, string>();
    const yardstick = await feed(frames, Math.min(seconds, 10), perSecond, (key, _at, text) => map.set(key, text));
    const run = await feed(frames, seconds, perSecond, (key, at, text) => {
      writer.put(key, at, text);
      writer.put(MARKER, at, '{"type":"trade"');
    });
    await writer.flushed();
    const seen = await result(reader, run.lastSizes);
    console.log(
      `method: ${String(symbolCount)} symbols, ${String(perSecond)} updates/s asked, ${String(seconds)} s, frames of ${String(FRAME_RECORDS)}`,
    );
    console.log(
      `updates done: ${String(run.updates)} (${String(Math.round(run.updates / run.tookS))}/s) in ${String(transactions)} transactions, failed ${String(failures)}`,
    );
    console.log(
      `writer CPU: ${percent(run.cpu)} of a core; yardstick (same frames into a Map): ${percent(yardstick.cpu)}; ratio ${(run.cpu / yardstick.cpu).toFixed(2)}`,
    );
    console.log(
      `lag until readable in another process (its 1 ms polling included), ms: p50 ${at(seen.lags, 0.5)} p99 ${at(seen.lags, 0.99)} max ${at(seen.lags, 1)} (${String(seen.lags.length)} samples)`,
    );
    console.log(`last values lost: ${String(seen.lost)} of ${String(symbolCount)}`);
    if (seen.lost > 0 || failures > 0) process.exitCode = 1;
  } finally {
    await writer.close();
    await table.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function framesOf(symbols: readonly string[]): readonly Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let from = 0; from < symbols.length; from += FRAME_RECORDS) {
    const records = symbols.slice(from, from + FRAME_RECORDS).map((symbol) => ({
      ...{ T: 'q', S: symbol, bx: 'V', bp: 172.62, bs: 200, ax: 'Q', ap: 172.7, as: 100, c: ['R'], z: 'C' },
      t: new Date(),
    }));
    frames.push(encode(records));
  }
  return frames;
}

interface Fed {
  readonly updates: number;
  readonly tookS: number;
  /** CPU seconds a second. */
  readonly cpu: number;
  /** The ask size is the number of the update: what the last one must show. */
  readonly lastSizes: Readonly<Record<string, number>>;
}

async function feed(
  frames: readonly Uint8Array[],
  seconds: number,
  perSecond: number,
  put: (key: string, at: number, text: string) => void,
): Promise<Fed> {
  const decoder = new FrameDecoder();
  const lastSizes: Record<string, number> = {};
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  let updates = 0;
  for (let next = 0; performance.now() - startedAt < seconds * 1_000;) {
    const due = ((performance.now() - startedAt) * perSecond) / 1_000;
    while (updates < due) {
      const at = now();
      for (const record of decoder.decode(frames[next] ?? new Uint8Array())) {
        updates += 1;
        const symbol = record['S'] as string;
        lastSizes[symbol] = updates;
        put(recordKey('quote', 'bench', symbol), at, quoteText('quote', symbol, { ...record, as: updates }, ORIGIN));
      }
      next = (next + 1) % frames.length;
    }
    await pause(1);
  }
  const used = process.cpuUsage(cpuBefore);
  const tookS = (performance.now() - startedAt) / 1_000;
  return { updates, tookS, cpu: (used.user + used.system) / 1e6 / tookS, lastSizes };
}

async function result(
  reader: ChildProcess,
  lastSizes: Readonly<Record<string, number>>,
): Promise<{ readonly lags: readonly number[]; readonly lost: number }> {
  const answered = once(reader, 'message');
  reader.send(lastSizes);
  const [message] = (await answered) as [{ lags: number[]; lost: number }];
  return message;
}

function at(sorted: readonly number[], share: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
