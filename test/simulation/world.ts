/**
 * One seed: callers, a gateway that crashes, a broker that loses answers. Phase 1 lets every fault loose and checks
 * safety after every event; phase 2 heals, turns 120 virtual seconds and asks that everything has come to its end.
 */
import type { AccountAnswer } from '../../src/kernel/domain/account-request.js';
import type { AuditRecord } from '../../src/kernel/audit/audit-log.js';
import type { AccountId } from '../../src/kernel/domain/identifiers.js';
import { decodeRecord } from '../../src/kernel/journal/record-codec.js';
import type { OutcomeRecord } from '../../src/kernel/journal/records.js';
import { SlotJournal } from '../../src/kernel/journal/slot-journal.js';
import { silentLog } from '../../src/kernel/runtime/log.js';
import { silentMeter } from '../../src/kernel/runtime/meter.js';
import { noCrash } from '../../src/workers/orders/crash-points.js';
import { JournaledOrderDesk } from '../../src/workers/orders/journaled-order-desk.js';
import { SeededRandom } from './seeded-random.js';
import type { SwarmOptions } from './swarm-options.js';
import { VirtualMemory } from './virtual-first-bytes.js';
import { Platter, VirtualAudit, VirtualStore, type Process } from './virtual-disk.js';
import { VirtualSession } from './virtual-session.js';
import { ProcessClock, settle, VirtualTime } from './virtual-time.js';
import { VirtualVenue, type Arrival, type Faults } from './virtual-venue.js';

const ACCOUNTS = ['account_001', 'account_002'] as AccountId[];
const INTENTS_PER_ACCOUNT = 6;
const PHASE_1_MS = 20_000;
const PHASE_2_MS = 120_000;
/** R4 of docs/order-protocol.md, with the time that a slow disk takes. */
const MAX_AGE_MS = { day: 10_600, ioc: 2_600 };
const QUARANTINE_MS = 30_000;

interface Intent {
  readonly accountId: AccountId;
  readonly tag: string;
  readonly key: string;
  /** What the caller was told last, and when. */
  told?: { readonly what: 'accepted' | 'rejected' | 'not-sent' | 'unknown'; readonly at: number };
  attempts: number;
}

interface Gateway extends Process {
  readonly desk: JournaledOrderDesk;
  readonly platter: Platter;
  holdsFence: boolean;
}

/** Half of the orders may wait, half are worth nothing after a moment. */
function timeInForceOf(tag: string): 'day' | 'ioc' {
  return Number(tag) % 2 === 0 ? 'day' : 'ioc';
}

/** A broken invariant: the message starts with its name. */
export class Violation extends Error {}

export class World {
  readonly #random: SeededRandom;
  readonly #time = new VirtualTime();
  readonly #venue: VirtualVenue;
  readonly #faults: Faults;
  readonly #platters: Platter[] = [new Platter(), new Platter()];
  readonly #audit: AuditRecord[] = [];
  readonly #memory = new VirtualMemory();
  readonly #intents: Intent[] = [];
  readonly #violations: string[] = [];
  #gateway: Gateway;
  #tellings = 0;
  #checkedAt = -1;
  #slot = 0;
  #epoch = 1;

  constructor(readonly options: SwarmOptions) {
    this.#random = new SeededRandom(options.seed);
    this.#faults = { ...options };
    this.#venue = new VirtualVenue(this.#time, this.#random, this.#faults, (arrival) => this.#checkArrival(arrival));
    this.#gateway = this.#start();
  }

  /** @throws Violation */
  async run(): Promise<{ readonly intents: number; readonly unknowns: number }> {
    await this.#adopt();
    this.#schedule();
    await this.#turn(PHASE_1_MS);
    Object.assign(this.#faults, HEALED);
    await this.#turn(this.#time.now + PHASE_2_MS);
    this.#checkEnd();
    const unknowns = this.#intents.filter(({ told }) => told?.what === 'unknown').length;
    return { intents: this.#intents.length, unknowns };
  }

  async #turn(until: number): Promise<void> {
    await settle();
    while (await this.#time.step(until)) this.#checkSafety();
  }

  #start(): Gateway {
    const platter = this.#platters[this.#slot]!;
    const gateway = { isAlive: true, holdsFence: true, platter } as {
      -readonly [Name in keyof Gateway]: Gateway[Name];
    };
    const clock = new ProcessClock(this.#time, gateway);
    const storeOf = (disk: Platter): VirtualStore =>
      new VirtualStore(disk, this.#time, this.#random, gateway, this.#faults);
    const others = this.options.foreignDisk ? [] : this.#platters.filter((disk) => disk !== platter).map(storeOf);
    const stores = { own: storeOf(platter), others: () => others, close: () => Promise.resolve() };
    const journal = new SlotJournal(stores, { ringSize: 100, keepKeysDays: 9 }, clock);
    gateway.desk = new JournaledOrderDesk(
      {
        journal,
        audit: new VirtualAudit(this.#audit, this.#time, this.#random, gateway, this.#faults),
        marks: { quote: () => undefined },
        fence: { holds: () => gateway.holdsFence },
        clock,
        entropy: this.#random,
        crash: noCrash,
        firstBytes: this.#memory.newFile(),
        log: silentLog,
        meter: silentMeter,
      },
      {
        orders: {
          requireIdempotencyKey: false,
          ambiguous: this.options.policy,
          answerDeadlineMs: 2_000,
          quarantineAfterMs: QUARANTINE_MS,
          onLate: this.options.onLate,
          keepKeysDays: 9,
        },
        risk: { defaults: {}, accounts: {} },
        attemptDeadlineMs: 10_000,
      },
    );
    return gateway;
  }

  async #adopt(): Promise<void> {
    const gateway = this.#gateway;
    for (const accountId of ACCOUNTS) {
      const session = new VirtualSession(accountId, this.#epoch, this.#venue, this.#time, gateway);
      void gateway.desk.adopt(session);
      await settle();
    }
  }

  #schedule(): void {
    const { crash, wallStep } = this.options;
    for (const accountId of ACCOUNTS) {
      for (let number = 0; number < INTENTS_PER_ACCOUNT; number += 1) {
        const tag = `${100 + this.#intents.length}`;
        const intent: Intent = { accountId, tag, key: `key-${tag}`, attempts: 0 };
        this.#intents.push(intent);
        this.#time.at(this.#random.between(10, PHASE_1_MS * 0.8), () => this.#submit(intent));
      }
    }
    for (let at = 500; at < PHASE_1_MS; at += 1_500) {
      if (this.#random.chance(crash)) this.#time.at(at + this.#random.between(0, 1_000), () => this.#crash());
      if (this.#random.chance(wallStep))
        this.#time.at(at, () => (this.#time.wallOffset += this.#random.pick([-3_600_000, 3_600_000])));
    }
  }

  /** Callers with a key ask again until they hear something final. */
  #submit(intent: Intent): void {
    const gateway = this.#gateway;
    intent.attempts += 1;
    const answered = gateway.desk.execute(
      {
        kind: 'submit-order',
        accountId: intent.accountId,
        assetClass: 'stocks',
        order: {
          ...{ symbol: 'AAPL', side: 'buy', type: 'limit', qty: '2', limit_price: intent.tag },
          time_in_force: timeInForceOf(intent.tag),
        },
        idempotencyKey: intent.key,
        dryRun: false,
      },
      { requestId: `request-${intent.tag}`, subject: 'caller', budgetMs: 10_000 },
    );
    answered.then(
      (answer) => gateway.isAlive && this.#hear(intent, answer),
      (cause: unknown) => this.#violations.push(`the desk threw: ${String(cause)}`),
    );
    const again = this.#time.now < PHASE_1_MS && intent.attempts < 8;
    if (again) this.#time.at(this.#random.between(500, 4_000), () => this.#askAgain(intent));
  }

  #askAgain(intent: Intent): void {
    if (intent.told?.what !== 'accepted' && intent.told?.what !== 'rejected') this.#submit(intent);
  }

  #hear(intent: Intent, answer: AccountAnswer): void {
    const what = meaningOf(answer);
    if (what === undefined) return;
    this.#tellings += 1;
    if (what === 'rejected' && answer.kind === 'problem' && answer.problem.alpaca?.['code'] === 40010001) {
      this.#violations.push(`R9 ${intent.tag} was told rejected because its own order has its id`);
    }
    intent.told = { what, at: this.#time.now };
    if (what === 'accepted' || what === 'unknown') this.#checkDurable(intent);
    if (what === 'accepted' || what === 'rejected') this.#checkOutcomeDurable(intent, what);
    if (what === 'accepted') this.#checkDescribes(intent, answer);
    if (what === 'not-sent') this.#checkNotSent(intent);
    if (what === 'unknown' && this.#random.chance(this.options.callerCancels)) this.#cancel(intent, answer);
  }

  #cancel(intent: Intent, answer: AccountAnswer): void {
    if (answer.kind !== 'answer') return;
    const { client_order_id: clientOrderId } = JSON.parse(new TextDecoder().decode(answer.body)) as {
      client_order_id: string;
    };
    const context = { requestId: 'cancel', subject: 'caller', budgetMs: 10_000 };
    void this.#gateway.desk.execute(
      { kind: 'cancel-order', accountId: intent.accountId, clientOrderId, dryRun: false },
      context,
    );
  }

  /** The process dies; a successor opens what was on its disk, or, on another instance, has nothing but the ids. */
  #crash(): void {
    const former = this.#gateway;
    if (!this.options.foreignDisk || this.#random.chance(0.5)) {
      former.isAlive = false;
      former.platter.crash(this.#random);
    }
    if (this.#random.chance(this.options.memoryLoss)) this.#memory.lose();
    former.holdsFence = false;
    if (this.options.move || this.options.foreignDisk) this.#slot = 1 - this.#slot;
    // A disk that a living former owner still writes is not taken over.
    if (former.isAlive) this.#platters[this.#slot] = new Platter();
    this.#epoch += 1;
    this.#gateway = this.#start();
    void this.#adopt();
  }

  // --- safety ---

  #checkArrival(arrival: Arrival): void {
    const { accountId, clientOrderId, epoch } = arrival;
    const isDurable = this.#everyPlatter().some((platter) => platter.data.has(`${accountId}/i/${clientOrderId}`));
    const isAudited = this.#audit.some(
      ({ kind, facts }) => (kind === 'intent' || kind === 'attempt') && facts['client_order_id'] === clientOrderId,
    );
    if (!isDurable) this.#violations.push(`I3 ${clientOrderId} reached the broker without a durable intent`);
    if (!isAudited) this.#violations.push(`I3 ${clientOrderId} reached the broker without an audited intent`);
    this.#checkAttempts(arrival);
    const newer = this.#adoptedAt.get(epoch + 1);
    if (newer !== undefined && arrival.sentAt > newer)
      this.#violations.push(`I5 epoch ${epoch} sent after its successor took over`);
  }

  readonly #adoptedAt = new Map<number, number>();
  readonly #allPlatters = new Set<Platter>();

  #everyPlatter(): readonly Platter[] {
    for (const platter of this.#platters) this.#allPlatters.add(platter);
    return [...this.#allPlatters];
  }

  #checkSafety(): void {
    if (!this.#adoptedAt.has(this.#epoch)) this.#adoptedAt.set(this.#epoch, this.#time.now);
    this.#everyPlatter();
    // Orders and what callers were told change with these; counting them is cheaper than looking at each.
    const changes = this.#venue.orderCount + this.#tellings;
    if (changes !== this.#checkedAt) this.#checkIntents();
    this.#checkedAt = changes;
    this.#raise();
  }

  #checkIntents(): void {
    for (const intent of this.#intents) {
      const orders = this.#ordersOf(intent);
      if (orders.length > 1) this.#violations.push(`I1 ${intent.tag} has ${orders.length} orders at the broker`);
      // Without the former owner's disk nobody can know of an order that it sent and the broker has yet to take (L7).
      if (!this.options.foreignDisk && intent.told?.what === 'rejected' && orders.length > 0) {
        this.#violations.push(`I4 ${intent.tag} was told rejected and is at the broker`);
      }
    }
  }

  #raise(): void {
    if (this.#violations.length > 0) throw new Violation(this.#violations[0]);
  }

  #ordersOf(intent: Intent): readonly Record<string, unknown>[] {
    return this.#venue.ordersOf(intent.accountId).filter(({ limit_price: tag }) => tag === intent.tag);
  }

  #checkDurable(intent: Intent): void {
    const isDurable = this.#everyPlatter().some((platter) =>
      [...platter.data].some(
        ([key, value]) =>
          key.startsWith(`${intent.accountId}/i/`) && bodyOf(key, value).includes(`"limit_price":"${intent.tag}"`),
      ),
    );
    if (!isDurable) this.#violations.push(`I2 ${intent.tag} was acknowledged without a durable intent`);
  }

  /** R12: what is told as final is on disk already. */
  #checkOutcomeDurable(intent: Intent, what: string): void {
    const isDurable = this.#everyPlatter().some((platter) =>
      [...platter.data].some(([key, value]) => {
        if (!key.startsWith(`${intent.accountId}/i/`) || !bodyOf(key, value).includes(`"limit_price":"${intent.tag}"`))
          return false;
        return platter.data.has(key.replace('/i/', '/o/'));
      }),
    );
    if (!isDurable) this.#violations.push(`R12 ${intent.tag} was told ${what} before that was durable`);
  }

  #checkDescribes(intent: Intent, answer: AccountAnswer): void {
    if (answer.kind !== 'answer') return;
    const order = JSON.parse(new TextDecoder().decode(answer.body)) as Record<string, unknown>;
    if (order['symbol'] !== 'AAPL' || order['limit_price'] !== intent.tag) {
      this.#violations.push(`R9 ${intent.tag} was answered with another order`);
    }
  }

  /** R4: two attempts at most, and none with an intent that has grown old. */
  #checkAttempts({ accountId, clientOrderId, tag, sentAt }: Arrival): void {
    if (this.options.foreignDisk) return;
    const sent = this.#venue.sent.filter((other) => other.clientOrderId === clientOrderId);
    if (sent.length > 2) this.#violations.push(`R4 ${clientOrderId} was sent ${sent.length} times`);
    const begunAt = this.#everyPlatter().map((platter) => platter.begunAt.get(`${accountId}/${clientOrderId}`) ?? 0);
    const ageMs = sentAt - Math.max(...begunAt);
    if (ageMs > MAX_AGE_MS[timeInForceOf(tag)])
      this.#violations.push(`R4 ${clientOrderId} was sent ${ageMs} ms after its intent`);
  }

  #checkNotSent(intent: Intent): void {
    if (this.options.foreignDisk) return;
    const isOnTheWire = [...this.#venue.onTheWire].some((mark) => mark.startsWith(`${intent.tag}#`));
    if (isOnTheWire || this.#ordersOf(intent).length > 0) {
      this.#violations.push(`I4 ${intent.tag} was told not sent and is at the broker, or on its way`);
    }
  }

  // --- the end ---

  #checkEnd(): void {
    const audited = this.#audit.filter(({ kind }) => kind === 'fill').map(({ facts }) => String(facts['execution_id']));
    const executed = ACCOUNTS.flatMap((accountId) => (this.#venue.executions.get(accountId) ?? []).map(({ id }) => id));
    const missing = executed.find((id) => !audited.includes(id));
    if (missing !== undefined) this.#violations.push(`I8 fill ${missing} is not in the audit trail`);
    if (!this.options.foreignDisk && new Set(audited).size !== audited.length)
      this.#violations.push('I8 a fill is in the audit trail twice');
    for (const accountId of ACCOUNTS) {
      const open = this.#gateway.desk.openUnknown(accountId);
      if (open > 0) this.#violations.push(`I7 ${accountId} has ${open} unknown outcomes after the quarantine`);
    }
    if (!this.options.foreignDisk)
      for (const order of this.#allOrders()) this.#checkConverged(order.accountId, order.order);
    this.#raise();
  }

  #allOrders(): readonly { readonly accountId: AccountId; readonly order: Record<string, unknown> }[] {
    return ACCOUNTS.flatMap((accountId) => this.#venue.ordersOf(accountId).map((order) => ({ accountId, order })));
  }

  #checkConverged(accountId: AccountId, order: Record<string, unknown>): void {
    const key = `${accountId}/o/${String(order['client_order_id'])}`;
    const bytes = this.#gateway.platter.data.get(key);
    const outcome = bytes === undefined ? undefined : (decodeRecord(key, bytes) as OutcomeRecord);
    if (outcome?.state === 'ACKED' || outcome?.state === 'ACKED_LATE') return;
    this.#violations.push(
      `I7 ${String(order['limit_price'])} is at the broker, and its outcome here is ${outcome?.state ?? 'open'}`,
    );
  }
}

const HEALED: Partial<Faults> = {
  requestLoss: 0,
  responseLoss: 0,
  serverError: 0,
  throttle: 0,
  connectFailure: 0,
  refusal: 0,
  lateArrival: 0,
  lookupFailure: 0,
  streamLoss: 0,
  streamDuplicate: 0,
  clog: 0,
  hang: 0,
  mixUp: 0,
  diskFault: 0,
  auditFault: 0,
  slowDisk: 0,
};

function bodyOf(key: string, value: Uint8Array): string {
  return (decodeRecord(key, value) as { body: string }).body;
}

/** Undefined for what says nothing about the order: it is under way still. */
function meaningOf(answer: AccountAnswer): 'accepted' | 'rejected' | 'not-sent' | 'unknown' | undefined {
  if (answer.kind === 'answer') return answer.status === 201 ? 'accepted' : 'unknown';
  switch (answer.problem.code) {
    case 'venue-rejected':
      return 'rejected';
    case 'order-not-sent':
      return 'not-sent';
    case 'request-in-flight':
    case 'account-unavailable':
      return undefined;
    default:
      throw new Violation(`an answer nobody expected: ${answer.problem.code}`);
  }
}
