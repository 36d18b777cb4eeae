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
import { MarketDataHub, tableWriter, type HubSettings } from './hub.js';
import { HubLink } from './hub-link.js';
import type { HubReply, HubRequest, HubState, SubscriptionRequest, Traced } from './hub-protocol.js';
import { LiveSymbolsView } from './live-symbols.js';
import type { MarketDataDoor } from './market-data-door.js';
import type { MarketDataFeed } from './market-data-feed.js';
import { MarketDataReads } from './reads.js';
import type { QuoteFollower } from './quote-follower.js';
import type { SharedQuotes } from './shared-quotes.js';
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
  /** Where several instances share the accounts. Closed by its maker. */
  readonly shared?: SharedQuotes;
  /** Path of the built threads/main.js. */
  readonly threadsEntry: string;
  /** threads/run-task `runTask`: only a composition root may import it. */
  readonly runTask: (task: Task, tableOf: () => QuoteTable) => TaskResult;
}

/** Tasks waiting for a thread; more are refused with `overloaded`. */
const THREAD_QUEUE_PER_THREAD = 64;
const USAGE_BEAT_MS = 1_000;
/** How soon a worker notices that it should follow another instance's hub, or no more. */
const FOLLOW_CHECK_MS = 100;
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
  #follower: QuoteFollower | undefined;
  /** Slot of the worker whose word on what is current was heard last. */
  #toldBy: number | undefined;
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
        measure: { clock, meter: parts.meter },
      },
      (task) => parts.runTask(task, () => table),
    );
    this.#files = new BodyFiles(parts.tableDirectory);
    this.#live = new LiveSymbolsView(clock);
    const feeds = { stock: settings.feed, option: settings.optionFeed };
    const shared = { ...parts, table, feeds, batch: this.#batch, files: this.#files, live: this.#live };
    this.#feed = new FeedClient({
      ...{ ...shared, feedSlot: () => this.#feedSlot() },
      localEar: () => this.#hub ?? this.#follower,
    });
    this.feed = this.#feed;
    this.door = new MarketDataReads({
      ...shared,
      place: { directory: parts.tableDirectory, sizeMb: settings.tableSizeMb },
      link: new HubLink({ ...parts, localHub: () => this.#hub }),
      quoteMaxAgeMs: settings.quoteMaxAgeMs,
      isHubElsewhere: () => parts.shared?.isElsewhere() === true,
      noteRead: (symbol) => {
        this.#noteRead(symbol);
      },
    });
  }

  /** Registers on the mesh. Call once, before the mesh is used. */
  start(): void {
    const { mesh } = this.parts;
    mesh.onCall('market-data', (message) => this.#answer(message.header as HubRequest));
    mesh.onCall('subscriptions', async (message, from) => {
      const request = message.header as SubscriptionRequest;
      const ear = this.#hub ?? this.#follower;
      const reply = request.op === 'want' ? await ear?.want(from, request.wanted) : undefined;
      return { header: reply ?? { op: 'not-hub' } };
    });
    mesh.onNotify('subscriptions', (message, from) => {
      this.#heard(message.header as SubscriptionRequest, from);
    });
    mesh.onNotify('quotes', (message) => {
      if (message.body !== undefined) this.#feed.deliver(decodeRecords(message.body));
    });
    mesh.onPeer((slot, isConnected) => {
      (this.#hub ?? this.#follower)?.peer(slot, isConnected);
      if (!isConnected && slot === this.#toldBy) this.#live.silence();
    });
    void this.#reportUsage();
    if (this.parts.shared !== undefined) void this.#keepFollowing(this.parts.shared);
  }

  /** This worker owns the master now. The master first, then the stand-ins in their configured order. */
  becomeHub(accounts: readonly [UpstreamAccount, ...UpstreamAccount[]]): void {
    if (this.#hub !== undefined || this.#isClosed) return;
    void this.#stopFollowing();
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
        this.#told(state, this.parts.mesh.slot);
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

  /** Not while the accounts are opened: threads load their modules on the same processors. */
  beginThreads(): void {
    this.#batch.begin();
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
    await this.#stopFollowing();
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
        if (from === this.#feedSlot()) this.#told(request, from);
        return;
      case 'usage':
        (this.#hub ?? this.#follower)?.noteReads(request.reads);
        return;
      case 'want':
        void (this.#hub ?? this.#follower)?.want(from, request.wanted);
    }
  }

  #told(state: HubState, from: number): void {
    this.#toldBy = from;
    if (this.#live.apply(state)) this.#feed.announce();
  }

  /** The hub's, or that of the one worker which follows the hub of another instance: the lowest of those that live. */
  #feedSlot(): number | undefined {
    const { hubSlot, shared, mesh } = this.parts;
    const slot = hubSlot();
    if (slot !== undefined || shared?.isElsewhere() !== true) return slot;
    return Math.min(mesh.slot, ...mesh.peers());
  }

  async #keepFollowing(shared: SharedQuotes): Promise<void> {
    const { clock, mesh, settings } = this.parts;
    while (!this.#stop.signal.aborted) {
      const follows = this.#hub === undefined && shared.isElsewhere() && this.#feedSlot() === mesh.slot;
      if (!follows) await this.#stopFollowing();
      else if (this.#follower === undefined) {
        this.#follower = shared.follow({
          ...this.parts,
          table: this.#table,
          writer: tableWriter(this.#table, settings, this.parts),
          feeds: { stock: settings.feed, option: settings.optionFeed },
          deliverHere: (records) => {
            this.#feed.deliver(records);
          },
          stateHere: (state) => {
            this.#told(state, mesh.slot);
          },
        });
      }
      await clock.sleep(FOLLOW_CHECK_MS, this.#stop.signal);
    }
  }

  async #stopFollowing(): Promise<void> {
    const follower = this.#follower;
    this.#follower = undefined;
    await follower?.stop();
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
      const reads = [...this.#reads];
      this.#reads = new Map();
      const slot = this.#feedSlot();
      if (slot === mesh.slot) (this.#hub ?? this.#follower)?.noteReads(reads);
      else if (slot !== undefined) mesh.notify(slot, 'subscriptions', { header: { op: 'usage', reads } });
    }
  }
}
