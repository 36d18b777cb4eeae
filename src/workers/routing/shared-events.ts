/**
 * Order events of all instances, in Redis streams: one stream a lease slot. The owner adds what it has told; every worker
 * of every other instance hears it, and a client resumes wherever it connects. Best effort while Redis is away: what is
 * missed shows as a hole in the numbers, and is resumed or said as a gap. Loaded only where instances share accounts.
 */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { EventPosition, OrderEvent } from '../../kernel/domain/order-event.js';
import { slotOf } from '../../kernel/ipc/instances.js';
import { redisClient, type RedisClient } from '../../kernel/redis/redis-client.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import { isAfter } from './resumed-events.js';

export interface SharedEventsOptions {
  readonly url: string;
  readonly keyPrefix: string;
  readonly slots: number;
  /** This instance's own are heard by other ways. */
  readonly self: string;
  /** Events kept a slot, about. */
  readonly keptMax: number;
}

const CONNECT_TIMEOUT_MS = 1_000;
const RECONNECT_MS = 500;
const COMMANDS_MAX = 10_000;
const BLOCK_MS = 1_000;
const READ_COUNT = 500;
/** Told while Redis is away; older ones are dropped, and show as a hole. */
const BACKLOG_MAX = 10_000;
const FLUSH_MS = 250;
const CLOSE_MS = 1_000;

interface Heard {
  readonly from: string;
  readonly event: OrderEvent;
}

/** Which brokerage account stands behind an account id, as all instances know it. */
interface SharedTenancy {
  readonly brokerAccountId: string;
  readonly keysId: string;
  /** Events of earlier epochs are of another brokerage account. */
  readonly sinceEpoch: number;
  /** Other keys are in use, and the broker has not named their account yet. */
  readonly isHeldBack?: boolean;
}

export class SharedEvents {
  readonly #writer: RedisClient;
  readonly #reader: RedisClient;
  readonly #listeners = new Set<(event: OrderEvent) => void>();
  readonly #stop = new AbortController();
  readonly #backlog: OrderEvent[] = [];
  readonly #lastIds = new Map<string, string>();
  #flushing: Promise<void> | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(
    private readonly options: SharedEventsOptions,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    this.#writer = this.#client();
    this.#reader = this.#client();
  }

  start(): void {
    for (const client of [this.#writer, this.#reader])
      client.connect().catch((cause: unknown) => this.log.warn({ cause: String(cause) }, 'order events not shared'));
    this.#reading = this.#read();
  }

  /** In the order of its calls for each account. */
  publish(event: OrderEvent): void {
    this.#backlog.push(event);
    if (this.#backlog.length > BACKLOG_MAX) this.#backlog.shift();
    this.#flushing ??= this.#flush().finally(() => (this.#flushing = undefined));
  }

  onEvent(listen: (event: OrderEvent) => void): void {
    this.#listeners.add(listen);
  }

  /** Where the account stands, as far as it was shared; undefined when nothing ever was. @throws the client's error */
  async position(accountId: AccountId): Promise<EventPosition | undefined> {
    const text = await this.#writer.hGet(this.#placesKey(), accountId);
    if (text === null) return undefined;
    const [epoch, seq] = text.split('|').map(Number);
    return { epoch: epoch ?? 0, seq: seq ?? 0 };
  }

  /**
   * What the stream still has of the account after a place, in order; nothing of a brokerage account that had the account
   * id before. @throws the client's error
   */
  async after(accountId: AccountId, after: EventPosition): Promise<readonly OrderEvent[]> {
    const [tenancy, entries] = await Promise.all([
      this.#tenancy(accountId),
      this.#writer.xRange(this.#streamKey(this.#slotOf(accountId)), '-', '+'),
    ]);
    if (tenancy?.isHeldBack === true) return [];
    const seen = new Set<string>();
    const events: OrderEvent[] = [];
    for (const { message } of entries ?? []) {
      const event = heardOf(message)?.event;
      if (event?.accountId !== accountId || !isAfter(event, after)) continue;
      if (event.epoch < (tenancy?.sinceEpoch ?? 0)) continue;
      const place = `${event.epoch}/${event.seq}`;
      if (!seen.has(place)) events.push(event);
      seen.add(place);
    }
    return events.sort((a, b) => a.epoch - b.epoch || a.seq - b.seq);
  }

  /**
   * When an instance held the account for the first time, wall milliseconds; undefined when that is now. Events of an
   * account that has none yet are missed from then on. @throws the client's error
   */
  async heldSince(accountId: AccountId): Promise<number | undefined> {
    const isFirst = await this.#writer.hSetNX(this.#heldKey(), accountId, String(this.clock.now()));
    return isFirst === 1 ? undefined : Number(await this.#writer.hGet(this.#heldKey(), accountId));
  }

  /**
   * The account is opened by these keys: where others were in use before, nothing is handed out until the broker has named
   * their account. @throws the client's error
   */
  async opens(accountId: AccountId, keysId: string): Promise<void> {
    const kept = await this.#tenancy(accountId);
    if (kept !== undefined && kept.keysId !== keysId) await this.#keep(accountId, { ...kept, isHeldBack: true });
  }

  /**
   * The broker has named the account. Another one than before begins with this epoch: what is older is not its own.
   * @throws the client's error
   */
  async named(
    accountId: AccountId,
    { brokerAccountId, keysId, epoch }: { brokerAccountId: string; keysId: string; epoch: number },
  ): Promise<void> {
    const kept = await this.#tenancy(accountId);
    const isAnother = kept !== undefined && kept.brokerAccountId !== brokerAccountId;
    const sinceEpoch = isAnother ? epoch : (kept?.sinceEpoch ?? 0);
    const isKnown = kept?.keysId === keysId && !isAnother && kept.isHeldBack !== true;
    if (isAnother) await this.#writer.hDel(this.#heldKey(), accountId);
    if (!isKnown) await this.#keep(accountId, { brokerAccountId, keysId, sinceEpoch });
  }

  async #tenancy(accountId: AccountId): Promise<SharedTenancy | undefined> {
    const text = await this.#writer.hGet(this.#tenanciesKey(), accountId);
    return text === null ? undefined : (JSON.parse(text) as SharedTenancy);
  }

  async #keep(accountId: AccountId, tenancy: SharedTenancy): Promise<void> {
    await this.#writer.hSet(this.#tenanciesKey(), accountId, JSON.stringify(tenancy));
  }

  async close(): Promise<void> {
    // What a Redis that is away has not taken by then is lost here, and is repaired from the broker by the next owner.
    const limit = new AbortController();
    await Promise.race([this.#flushing, this.clock.sleep(CLOSE_MS, limit.signal)]);
    limit.abort();
    this.#stop.abort();
    for (const client of [this.#writer, this.#reader]) if (client.isOpen) client.destroy();
    await this.#reading;
  }

  async #flush(): Promise<void> {
    for (;;) {
      const [event] = this.#backlog;
      if (event === undefined || this.#stop.signal.aborted) return;
      try {
        await this.#add(event);
        if (this.#backlog[0] === event) this.#backlog.shift();
      } catch {
        await this.clock.sleep(FLUSH_MS, this.#stop.signal);
      }
    }
  }

  async #add(event: OrderEvent): Promise<void> {
    const { accountId, epoch, seq } = event;
    const fields = { from: this.options.self, event: JSON.stringify(event) };
    const trim = { strategy: 'MAXLEN', strategyModifier: '~', threshold: this.options.keptMax } as const;
    await this.#writer
      .multi()
      .xAdd(this.#streamKey(this.#slotOf(accountId)), '*', fields, { TRIM: trim })
      .hSet(this.#placesKey(), accountId, `${epoch}|${seq}`)
      .exec();
  }

  async #read(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#findEnds();
        const streams = [...this.#lastIds].map(([key, id]) => ({ key, id }));
        const told = await this.#reader.xRead(streams, { BLOCK: BLOCK_MS, COUNT: READ_COUNT });
        for (const { name, messages } of (told ?? []) as readonly StreamTold[]) this.#hear(name, messages);
      } catch {
        await this.clock.sleep(RECONNECT_MS, this.#stop.signal);
      }
    }
  }

  /** Once a stream: from its end on. A Redis that lost everything begins again below: its streams are read anew. */
  async #findEnds(): Promise<void> {
    if (this.#lastIds.size > 0) return;
    const keys = Array.from({ length: this.options.slots }, (_, slot) => this.#streamKey(slot));
    const ends = await Promise.all(keys.map((key) => this.#reader.xRevRange(key, '+', '-', { COUNT: 1 })));
    for (const [index, key] of keys.entries()) this.#lastIds.set(key, ends[index]?.[0]?.id ?? '0-0');
  }

  #hear(key: string, messages: StreamTold['messages']): void {
    for (const { id, message } of messages) {
      this.#lastIds.set(key, id);
      const heard = heardOf(message);
      if (heard === undefined || heard.from === this.options.self) continue;
      for (const listen of this.#listeners) listen(heard.event);
    }
  }

  #slotOf(accountId: AccountId): number {
    return slotOf(accountId, this.options.slots);
  }

  #streamKey(slot: number): string {
    return `{${this.options.keyPrefix}}:events:${slot}`;
  }

  #placesKey(): string {
    return `{${this.options.keyPrefix}}:places`;
  }

  #heldKey(): string {
    return `{${this.options.keyPrefix}}:held-since`;
  }

  #tenanciesKey(): string {
    return `{${this.options.keyPrefix}}:tenancies`;
  }

  #client(): RedisClient {
    const client = redisClient({
      url: this.options.url,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      queuedCommandsMax: COMMANDS_MAX,
      reconnectMs: RECONNECT_MS,
    });
    client.on('error', (error: Error) => this.log.debug({ cause: error.message }, 'shared events: Redis error'));
    return client;
  }
}

interface StreamTold {
  readonly name: string;
  readonly messages: readonly { readonly id: string; readonly message: Readonly<Record<string, string>> }[];
}

/** Undefined for what is not ours: whoever can write to Redis is not trusted to be sane. */
function heardOf({ from, event }: Readonly<Record<string, string>>): Heard | undefined {
  if (from === undefined || event === undefined) return undefined;
  try {
    return { from, event: JSON.parse(event) as OrderEvent };
  } catch {
    return undefined;
  }
}
