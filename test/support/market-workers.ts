/** Market data of several workers in one process, over a mesh in memory and a table in a directory of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallContext } from '../../src/kernel/domain/account-request.js';
import type { Clock } from '../../src/kernel/runtime/clock.js';
import { silentLog } from '../../src/kernel/runtime/log.js';
import { silentMeter } from '../../src/kernel/runtime/meter.js';
import { SystemClock } from '../../src/kernel/runtime/system-clock.js';
import { runTask } from '../../src/threads/run-task.js';
import { MarketData, type MarketDataSettings } from '../../src/workers/market-data/market-data.js';
import type { MarketDataAnswer } from '../../src/workers/market-data/market-data-door.js';
import type { SharedQuotes } from '../../src/workers/market-data/shared-quotes.js';
import type { UpstreamAccount } from '../../src/workers/market-data/upstream.js';
import { MemoryNetwork, type MemoryMesh } from './memory-mesh.js';

export const CONTEXT: CallContext = { requestId: 'test', subject: 'tester', budgetMs: 60_000 };

export interface MarketWorkersOptions {
  readonly settings?: Partial<MarketDataSettings>;
  readonly clock?: Clock;
  readonly threadsEntry?: string;
  /** For each worker its own, as each has its own connection. */
  readonly shared?: () => SharedQuotes;
}

export class MarketWorkers {
  readonly network = new MemoryNetwork();
  readonly directory = mkdtempSync(join(tmpdir(), 'market-workers-'));
  readonly workers = new Map<number, { readonly mesh: MemoryMesh; readonly marketData: MarketData }>();
  hubSlot: number | undefined;

  constructor(private readonly options: MarketWorkersOptions = {}) {}

  start(slot: number): MarketData {
    const mesh = this.network.join(slot);
    const marketData = new MarketData({
      settings: {
        feed: 'iex',
        optionFeed: 'indicative',
        requestTimeoutMs: 30_000,
        rateLimitPerMinute: 200,
        dataRateLimitPerMinute: 10_000,
        subscribeLimit: 30,
        optionSubscribeLimit: 200,
        muteTimeoutMs: 30_000,
        tableSizeMb: 32,
        quoteMaxAgeMs: 1_000,
        threads: 0,
        ...this.options.settings,
      },
      tableDirectory: this.directory,
      mesh,
      clock: this.options.clock ?? new SystemClock(),
      log: silentLog,
      meter: silentMeter,
      jitter: () => 0.5,
      hubSlot: () => this.hubSlot,
      ...(this.options.shared !== undefined && { shared: this.options.shared() }),
      threadsEntry: this.options.threadsEntry ?? '',
      runTask,
    });
    marketData.start();
    this.workers.set(slot, { mesh, marketData });
    return marketData;
  }

  /** The worker in this slot owns the master from now on. */
  makeHub(slot: number, accounts: readonly [UpstreamAccount, ...UpstreamAccount[]]): void {
    this.hubSlot = slot;
    this.workers.get(slot)?.marketData.becomeHub(accounts);
  }

  /** Dies without a word: its peers see it gone. */
  async kill(slot: number): Promise<void> {
    const worker = this.workers.get(slot);
    this.workers.delete(slot);
    this.network.kill(slot);
    if (this.hubSlot === slot) this.hubSlot = undefined;
    await worker?.marketData.close();
  }

  async close(): Promise<void> {
    for (const slot of [...this.workers.keys()]) await this.kill(slot);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The body of an answer as a value; a problem as itself. */
export function bodyOf(answer: MarketDataAnswer | undefined): Record<string, unknown> {
  if (answer?.kind !== 'answer') return { problem: answer?.problem.code };
  return JSON.parse(Buffer.from(answer.body).toString('utf8')) as Record<string, unknown>;
}
