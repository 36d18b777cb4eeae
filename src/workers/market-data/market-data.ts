/**
 * Market data of one worker: the two doors for its edges, its part of the mesh protocol, and the hub while this worker
 * owns the master. Built by the worker's composition root, closed by it.
 */
import type { Mesh } from '../../kernel/ipc/mesh.js';
import { QuoteTable } from '../../kernel/shared-memory/quote-table.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { silentTracer, traced, type Tracer } from '../../kernel/runtime/tracer.js';
import type { Task, TaskResult } from '../../threads/tasks.js';
import { createBatch, type Batch } from './batch.js';
import { BodyFiles } from './body-files.js';
import { decodeRecords } from './fan-out.js';
import { FeedClient } from './feed-client.js';
import { MarketDataHub, type HubSettings } from './hub.js';
import { HubLink } from './hub-link.js';
import type { HubReply, HubRequest, SubscriptionRequest, Traced } from './hub-protocol.js';
import { LiveSymbolsView } from './live-symbols.js';
import type { MarketDataDoor } from './market-data-door.js';
import type { MarketDataFeed } from './market-data-feed.js';
import { MarketDataReads } from './reads.js';
import type { UpstreamAccount } from './upstream.js';

export interface MarketDataSettings extends HubSettings {
  readonly quoteMaxAgeMs: number;
  /** `cluster.threads`; 0 does all batch work inline. */
  readonly threads: number;
}

export interface MarketDataParts {
  readonly settings: MarketDataSettings;
  /** From kernel/shared-memory `tableDirectory`: the same for all workers of a boot. */
  readonly tableDirectory: string;
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly tracer?: Tracer;
  /** In [0, 1). */
  readonly jitter: () => number;
  /** Slot of the worker that owns the master account, by the ownership table; undefined while nobody does. */
  readonly hubSlot: () => number | undefined;
  /** Another instance holds the master: only where several share the accounts. */
  readonly isElsewhere?: () => boolean;
  /** Path of the built threads/main.js. */
  readonly threadsEntry: string;
  /** threads/run-task `runTask`: only a composition root may import it. */
  readonly runTask: (task: Task, tableOf: () => QuoteTable) => TaskResult;
}

/** Tasks waiting for a thread; more are refused with `overloaded`. */
const THREAD_QUEUE_PER_THREAD = 64;
const USAGE_BEAT_MS = 1_000;
/** Symbols counted between two reports. */
const USAGE_MAX = 2_000;

export class MarketData {
  readonly door: MarketDataDoor;
  readonly feed: MarketDataFeed;
  readonly #table: QuoteTable;
  readonly #batch: Batch;
  readonly #files: BodyFiles;
  readonly #live: LiveSymbolsView;
  readonly #feed: FeedClient;
  readonly #stop = new AbortController();
  #hub: MarketDataHub | undefined;
  #reads = new Map<string, number>();
  #isClosed = false;

  /** @throws GatewayError SHARED_MEMORY_BROKEN */
  constructor(private readonly parts: MarketDataParts) {
    const { settings, clock } = parts;
    const table = QuoteTable.open(parts.tableDirectory, settings.tableSizeMb);
    this.#table = table;
    this.#batch = createBatch(
      {
        threads: settings.threads,
        entry: parts.threadsEntry,
        queueMax: settings.threads * THREAD_QUEUE_PER_THREAD,
        ...(parts.tracer !== undefined && { tracer: parts.tracer }),
      },
      (task) => parts.runTask(task, () => table),
    );
    this.#files = new BodyFiles(parts.tableDirectory);
    this.#live = new LiveSymbolsView(clock);
    const feeds = { stock: settings.feed, option: settings.optionFeed };
    const shared = { ...parts, table, feeds, batch: this.#batch, files: this.#files, live: this.#live };
    this.#feed = new FeedClient({ ...shared, localHub: () => this.#hub });
    this.feed = this.#feed;
    this.door = new MarketDataReads({
      ...shared,
      place: { directory: parts.tableDirectory, sizeMb: settings.tableSizeMb },
      link: new HubLink({ ...parts, localHub: () => this.#hub }),
      quoteMaxAgeMs: settings.quoteMaxAgeMs,
      noteRead: (symbol) => {
        this.#noteRead(symbol);
      },
    });
  }

  /** Registers on the mesh. Call once, before the mesh is used. */
  start(): void {
    const { mesh } = this.parts;
    mesh.onCall('market-data', (message) => this.#answer(message.header as HubRequest));
    mesh.onCall('subscriptions', (message, from) => {
      const request = message.header as SubscriptionRequest;
      const reply = request.op === 'want' ? this.#hub?.want(from, request.wanted) : undefined;
      return Promise.resolve({ header: reply ?? { op: 'not-hub' } });
    });
    mesh.onNotify('subscriptions', (message, from) => {
      this.#heard(message.header as SubscriptionRequest, from);
    });
    mesh.onNotify('quotes', (message) => {
      if (message.body !== undefined) this.#feed.deliver(decodeRecords(message.body));
    });
    mesh.onPeer((slot, isConnected) => {
      this.#hub?.peer(slot, isConnected);
      if (!isConnected && slot === this.parts.hubSlot()) this.#live.silence();
    });
    void this.#reportUsage();
  }

  /** This worker owns the master now. The master first, then the stand-ins in their configured order. */
  becomeHub(accounts: readonly [UpstreamAccount, ...UpstreamAccount[]]): void {
    if (this.#hub !== undefined || this.#isClosed) return;
    this.#hub = new MarketDataHub({
      ...this.parts,
      accounts,
      table: this.#table,
      batch: this.#batch,
      files: this.#files,
      deliverHere: (records) => {
        this.#feed.deliver(records);
      },
      stateHere: (state) => {
        if (this.#live.apply(state)) this.#feed.announce();
      },
    });
    this.#hub.start();
  }

  /** The master goes to another worker: the sockets close before this resolves. */
  async resignHub(): Promise<void> {
    const hub = this.#hub;
    this.#hub = undefined;
    await hub?.stop();
  }

  isHub(): boolean {
    return this.#hub !== undefined;
  }

  /** Whose key serves market data, where this worker is the hub. */
  servedBy(): string | undefined {
    return this.#hub?.servedBy();
  }

  /** Threads at work, for `/pool`. */
  threads(): number {
    return this.#batch.threads;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stop.abort();
    this.#feed.close();
    await this.resignHub();
    await this.#batch.close();
    await this.#table.close();
  }

  #answer(request: HubRequest & Traced): Promise<{ readonly header: HubReply; readonly body?: Uint8Array }> {
    const hub = this.#hub;
    if (hub === undefined) return Promise.resolve({ header: { op: 'not-hub' } });
    const { traceparent } = request;
    if (traceparent === undefined) return hub.answer(request, false);
    const { tracer = silentTracer } = this.parts;
    return traced(tracer, ['server', 'mesh serve', traceparent], () => hub.answer(request, false));
  }

  #heard(request: SubscriptionRequest, from: number): void {
    switch (request.op) {
      case 'state':
        // A predecessor that does not know yet that it was replaced is not listened to.
        if (from === this.parts.hubSlot() && this.#live.apply(request)) this.#feed.announce();
        return;
      case 'usage':
        this.#hub?.noteReads(request.reads);
        return;
      case 'want':
        this.#hub?.want(from, request.wanted);
    }
  }

  #noteRead(symbol: string): void {
    const count = this.#reads.get(symbol);
    if (count !== undefined) this.#reads.set(symbol, count + 1);
    else if (this.#reads.size < USAGE_MAX) this.#reads.set(symbol, 1);
  }

  async #reportUsage(): Promise<void> {
    const { clock, mesh } = this.parts;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(USAGE_BEAT_MS, this.#stop.signal);
      if (this.#reads.size === 0) continue;
      const reads = Object.fromEntries(this.#reads);
      this.#reads = new Map();
      const slot = this.parts.hubSlot();
      if (slot === mesh.slot) this.#hub?.noteReads(reads);
      else if (slot !== undefined) mesh.notify(slot, 'subscriptions', { header: { op: 'usage', reads } });
    }
  }
}
