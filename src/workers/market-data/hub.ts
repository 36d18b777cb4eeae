/**
 * Everything of market data that exists once an instance, in the worker that owns the master: the keys and their
 * budgets, the upstream sockets, the only pen for the shared table, and the answers to reads of all workers.
 */
import { MASTER_ACCOUNT_ID } from '../../kernel/domain/identifiers.js';
import type { Mesh, MeshMessage } from '../../kernel/ipc/mesh.js';
import type { QuoteTable } from '../../kernel/shared-memory/quote-table.js';
import { TableWriter } from '../../kernel/shared-memory/table-writer.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { Batch } from './batch.js';
import { BodyCache } from './body-cache.js';
import type { BodyFiles } from './body-files.js';
import { BodyLoader } from './body-loader.js';
import { FanOut } from './fan-out.js';
import type { HubReply, HubRequest, HubState, SubscriptionReply, SymbolReads, WantedSymbols } from './hub-protocol.js';
import { leaveAdaptive, leaveBudgets, readAdaptive, readBudgets } from './hub-legacy.js';
import type { SharedQuotes } from './shared-quotes.js';
import type { HubShare } from './hub-share.js';
import { HubReads } from './hub-reads.js';
import { eventTimeOf, HubStreams } from './hub-streams.js';
import { LatestFetcher } from './latest-fetcher.js';
import type { FeedRecord } from './market-data-feed.js';
import { RateBudget } from './rate-budget.js';
import { Sources, type Source } from './sources.js';
import { isLater } from './stream-frames.js';
import { SubscriptionBook } from './subscription-book.js';
import type { UpstreamAccount } from './upstream.js';
import { UpstreamClient } from './upstream-client.js';

export interface HubSettings {
  readonly feed: string;
  readonly optionFeed: string;
  readonly requestTimeoutMs: number;
  readonly rateLimitPerMinute: number;
  readonly dataRateLimitPerMinute: number;
  readonly subscribeLimit: number;
  readonly optionSubscribeLimit: number;
  readonly muteTimeoutMs: number;
  readonly tableSizeMb: number;
}

export interface HubParts {
  /** The master first, then the stand-ins in their order. */
  readonly accounts: readonly [UpstreamAccount, ...UpstreamAccount[]];
  readonly settings: HubSettings;
  readonly mesh: Mesh;
  readonly table: QuoteTable;
  readonly batch: Batch;
  readonly files: BodyFiles;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly jitter: () => number;
  readonly deliverHere: (records: readonly FeedRecord[]) => void;
  /** This worker learns the state like every other. */
  readonly stateHere: (state: HubState) => void;
  /** Where several instances share the accounts. */
  readonly shared?: SharedQuotes;
}

const BEAT_MS = 1_000;
const WHOLE_EVERY_BEATS = 2;
/** A change is told soon, many changes together. */
const TELL_AFTER_MS = 20;
const CACHE_BYTES_MAX = 96 * 1_048_576;
/** What one entry costs in the table, pages and keys included. */
const ENTRY_BYTES = 1_024;
const PROBE_TIMEOUT_MS = 2_000;

/** The pen of a table, for the one worker of an instance that writes it. */
export function tableWriter(
  table: QuoteTable,
  settings: Pick<HubSettings, 'tableSizeMb'>,
  { meter, log, clock }: { readonly meter: Meter; readonly log: Log; readonly clock: Clock },
): TableWriter {
  return new TableWriter(table, {
    entriesMax: Math.max(1_000, Math.floor((settings.tableSizeMb * 1_048_576) / ENTRY_BYTES)),
    onFailure: (cause) => {
      meter.count('opitios_market_data_table_failures_total');
      log.error({ cause }, 'the shared quote table could not be written');
    },
    onWritten: (records, lagMs) => {
      meter.count('opitios_market_data_table_writes_total', {}, records);
      meter.observe('opitios_market_data_table_lag_seconds', lagMs / 1_000);
    },
    monotonicMs: () => clock.monotonicMs(),
  });
}

export class MarketDataHub {
  readonly #hubId: string;
  readonly #sources: Sources;
  readonly #book: SubscriptionBook;
  readonly #writer: TableWriter;
  readonly #fanOut: FanOut;
  readonly #reads: HubReads;
  readonly #streams: HubStreams;
  readonly #share: HubShare | undefined;
  readonly #stop = new AbortController();
  #toldVersion = -1;
  #cancelTell: (() => void) | undefined;

  constructor(private readonly parts: HubParts) {
    const { settings, clock, meter } = parts;
    this.#hubId = `${String(parts.mesh.slot)}-${String(clock.now())}`;
    const [master, ...standIns] = parts.accounts.map((account): Source => ({
      account,
      dataBudget: new RateBudget(settings.dataRateLimitPerMinute, clock),
      tradingBudget: new RateBudget(settings.rateLimitPerMinute, clock),
    }));
    this.#sources = new Sources([master as Source, ...standIns], clock);
    this.#book = new SubscriptionBook({ stock: settings.subscribeLimit, option: settings.optionSubscribeLimit });
    this.#writer = tableWriter(parts.table, settings, parts);
    this.#fanOut = new FanOut(parts);
    const upstream = new UpstreamClient(this.#sources, clock, meter);
    const heard = new Map<string, string>();
    const shared = {
      ...parts,
      upstream,
      writer: this.#writer,
      defaultFeed: { stock: settings.feed, option: settings.optionFeed },
      timeoutMs: settings.requestTimeoutMs,
    };
    const latest = new LatestFetcher({
      ...shared,
      isSuperseded: (key, text) => {
        const known = heard.get(key);
        const time = eventTimeOf(text);
        return known !== undefined && time !== undefined && isLater(known, time);
      },
    });
    this.#reads = new HubReads({
      ...shared,
      latest,
      loader: new BodyLoader(shared),
      cache: new BodyCache(CACHE_BYTES_MAX, clock),
    });
    this.#streams = new HubStreams({
      ...shared,
      latest,
      heard,
      onChange: () => {
        this.#tellSoon();
      },
      sources: this.#sources,
      book: this.#book,
      fanOut: this.#fanOut,
      feeds: shared.defaultFeed,
      muteTimeoutMs: settings.muteTimeoutMs,
      ...(parts.shared !== undefined && {
        publishElsewhere: (record: FeedRecord) => {
          this.#share?.publish(record);
        },
      }),
    });
    this.#share = this.#openShare();
  }

  start(): void {
    this.parts.log.info({ slot: this.parts.mesh.slot }, 'market data hub begins');
    this.#book.restore(readAdaptive(this.parts.table));
    const budgets = readBudgets(this.parts.table);
    if (budgets !== undefined) {
      this.#sources.inheritBudgets(budgets.left, Math.max(0, this.parts.clock.now() - budgets.at));
    }
    this.#sources.onChange(() => {
      const account = this.#sources.current().account.accountId;
      this.parts.log.warn({ account }, 'market data comes by another key');
      this.parts.meter.count('opitios_market_data_key_changes_total');
      this.parts.meter.gauge('opitios_market_data_stand_in', account === MASTER_ACCOUNT_ID ? 0 : 1);
    });
    this.#streams.start();
    void this.#beat();
  }

  answer(request: HubRequest, isLocal: boolean): Promise<MeshMessage & { readonly header: HubReply }> {
    return this.#reads.answer(request, isLocal);
  }

  want(slot: number, wanted: WantedSymbols): SubscriptionReply {
    const refused = this.#book.want(slot, wanted);
    this.#streams.sync();
    return { op: 'wanted', hubId: this.#hubId, refused };
  }

  noteReads(reads: SymbolReads): void {
    this.#book.noteReads(reads);
  }

  peer(slot: number, isConnected: boolean): void {
    if (isConnected) {
      this.parts.mesh.notify(slot, 'subscriptions', { header: this.#state(true) });
      return;
    }
    this.#book.slotGone(slot);
    this.#fanOut.slotGone(slot);
    this.#streams.sync();
  }

  /** Whose key serves now, for reports. */
  servedBy(): string {
    return this.#sources.current().account.accountId;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#cancelTell?.();
    this.#share?.close();
    this.#streams.stop();
    this.#fanOut.close();
    await this.#writer.close();
  }

  #openShare(): HubShare | undefined {
    const { settings } = this.parts;
    return this.parts.shared?.share({
      ...this.parts,
      hubId: this.#hubId,
      book: this.#book,
      writer: this.#writer,
      feeds: { stock: settings.feed, option: settings.optionFeed },
      live: () => this.#streams.live(),
      gap: () => this.#streams.gap(),
      budgets: () => this.#sources.budgetsLeft(),
      wantsChanged: () => {
        this.#streams.sync();
      },
    });
  }

  async #beat(): Promise<void> {
    const { clock } = this.parts;
    let beats = 0;
    while (!this.#stop.signal.aborted) {
      // The whole again now and then: a worker whose queue was full has missed a change.
      this.#tell(beats % WHOLE_EVERY_BEATS === 0);
      for (const source of this.#sources.dueForProbe()) void this.#probe(source);
      if (this.#book.adapt()) {
        leaveAdaptive(this.#writer, this.#book.adaptive(), clock.now());
        this.#streams.sync();
      }
      leaveBudgets(this.#writer, this.#sources.budgetsLeft(), clock.now());
      this.#sources.useShare(this.parts.shared?.budgetShare() ?? 1);
      this.#share?.beat();
      this.#streams.retryPending();
      beats += 1;
      if (beats % 60 === 0) this.#sources.forgive(this.#sources.current());
      await clock.sleep(BEAT_MS, this.#stop.signal);
    }
  }

  /** A key that was out is good again when it can read one quote. */
  async #probe(source: Source): Promise<void> {
    // Not due again while this runs.
    this.#sources.probing(source);
    if ((await source.dataBudget.take(0)).kind === 'refused') return;
    const { feed } = this.parts.settings;
    const path = `/v2/stocks/quotes/latest?symbols=SPY&feed=${encodeURIComponent(feed)}`;
    const reply = await source.account.wire.get('data', path, { deadlineMs: PROBE_TIMEOUT_MS });
    if (this.#stop.signal.aborted) return;
    this.#sources.probed(source, reply.kind === 'answered' && reply.status === 200);
  }

  #tellSoon(): void {
    this.#cancelTell ??= this.parts.clock.after(TELL_AFTER_MS, () => {
      this.#cancelTell = undefined;
      this.#tell();
    });
  }

  #tell(whole = false): void {
    const isChanged = whole || this.#streams.version() !== this.#toldVersion;
    this.#toldVersion = this.#streams.version();
    const state = this.#state(isChanged);
    this.parts.stateHere(state);
    this.parts.mesh.broadcast('subscriptions', { header: state });
    if (isChanged) this.#share?.tell();
  }

  #state(whole: boolean): HubState {
    return {
      op: 'state',
      hubId: this.#hubId,
      version: this.#streams.version(),
      ...(whole && { live: this.#streams.live(), gap: this.#streams.gap() }),
    };
  }
}
