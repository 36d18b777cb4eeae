/**
 * Runs one program against an order desk with the book as oracle. Held after every arrival and execution: no close flips
 * a position or sells more than was asked, no limit is exceeded under any interleaving; at the end: no answer was untrue.
 */
import type { AuditRecord } from '../../../src/kernel/audit/audit-log.js';
import type { AccountAnswer } from '../../../src/kernel/domain/account-request.js';
import type { AccountId } from '../../../src/kernel/domain/identifiers.js';
import { SlotJournal } from '../../../src/kernel/journal/slot-journal.js';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import { silentMeter } from '../../../src/kernel/runtime/meter.js';
import { noCrash } from '../../../src/workers/orders/crash-points.js';
import { JournaledOrderDesk } from '../../../src/workers/orders/journaled-order-desk.js';
import { SeededRandom } from '../seeded-random.js';
import { Platter, VirtualAudit, VirtualStore, type Process } from '../virtual-disk.js';
import { ProcessClock, settle, VirtualTime } from '../virtual-time.js';
import { BookBroker, byName, INSTRUMENTS, isFromOutside, round, TERMINAL, type Row } from './book-broker.js';
import { BookSession } from './book-session.js';
import type { Act, ExposureProgram } from './exposure-program.js';

const ACCOUNT = 'account_001' as AccountId;
const NO_DISK_FAULTS = { diskFault: 0, auditFault: 0, slowDisk: 0 };
const CALM_MS = 150_000;

interface Placed {
  readonly order: Readonly<Record<string, unknown>>;
  readonly key: string | undefined;
  readonly ownId: string;
  readonly answers: AccountAnswer[];
  /** Requests made; the answers of some died with their gateway. */
  asked: number;
}

interface Gateway extends Process {
  readonly desk: JournaledOrderDesk;
}

export class ExposureWorld {
  readonly #time = new VirtualTime();
  readonly #random: SeededRandom;
  readonly #broker: BookBroker;
  readonly #platter = new Platter();
  readonly #audit: AuditRecord[] = [];
  readonly #placed: Placed[] = [];
  /** Asked of closes, by when: what a close may sell at most. */
  readonly #closes: {
    readonly symbol: string;
    readonly share: number | undefined;
    readonly qty: number | undefined;
    readonly at: number;
  }[] = [];
  readonly #closeAnswers: AccountAnswer[] = [];
  readonly #replaceAnswers: { readonly target: string; readonly answer: AccountAnswer }[] = [];
  readonly #wrong: string[] = [];
  readonly #peaks: { readonly at: number; readonly positions: ReadonlyMap<string, number> }[] = [];
  #epoch = 1;
  #gateway: Gateway;

  constructor(private readonly program: ExposureProgram) {
    this.#random = new SeededRandom(program.seed ^ 0x5eed);
    this.#broker = new BookBroker(this.#time, this.#random, { ...program.faults });
    for (const [symbol, qty] of Object.entries(program.held)) this.#broker.positions.set(symbol, qty);
    this.#broker.onArrival = (row) => this.#checkArrival(row);
    this.#broker.onExecution = (row, qty, before) => this.#checkExecution(row, qty, before);
    this.#gateway = this.#start();
  }

  /** What was wrong; empty when all held. */
  async run(): Promise<readonly string[]> {
    this.#notePeak();
    await this.#adopt();
    for (const { atMs, act } of this.program.steps) this.#time.at(atMs, () => this.#do(act));
    const end = (this.program.steps.at(-1)?.atMs ?? 0) + 100;
    while ((await this.#time.step(end)) && this.#wrong.length === 0);
    Object.assign(this.#broker.faults, {
      requestLoss: 0,
      answerLoss: 0,
      connectFailure: 0,
      eventLoss: 0,
      keysRefused: 0,
      refusedCarriedOut: 0,
    });
    while ((await this.#time.step(end + CALM_MS)) && this.#wrong.length === 0);
    if (this.#wrong.length === 0) this.#checkAnswers();
    return this.#wrong;
  }

  #start(): Gateway {
    const gateway = { isAlive: true } as { -readonly [Name in keyof Gateway]: Gateway[Name] };
    const clock = new ProcessClock(this.#time, gateway);
    const own = new VirtualStore(this.#platter, this.#time, this.#random, gateway, NO_DISK_FAULTS);
    const quoteOf = (symbol: string) => {
      const named = byName(symbol);
      return named === undefined ? undefined : { bidPrice: String(named.bid), askPrice: String(named.ask), ageMs: 5 };
    };
    gateway.desk = new JournaledOrderDesk(
      {
        journal: new SlotJournal(
          { own, others: () => [], close: () => Promise.resolve() },
          { ringSize: 100, keepKeysDays: 9 },
          clock,
        ),
        audit: new VirtualAudit(this.#audit, this.#time, this.#random, gateway, NO_DISK_FAULTS),
        marks: { quote: quoteOf },
        fence: { holds: () => gateway.isAlive },
        clock,
        entropy: this.#random,
        crash: noCrash,
        log: silentLog,
        meter: silentMeter,
      },
      {
        orders: {
          ...{ requireIdempotencyKey: false, ambiguous: 'reconcile_only', answerDeadlineMs: 2_000 },
          ...{ quarantineAfterMs: 20_000, onLate: 'keep', keepKeysDays: 9 },
          ...(this.program.looksUpFormer && {
            idNamespaces: { current: 'now', former: { namespace: 'before', until: Infinity } },
          }),
        },
        marksEpoch: true,
        risk: { defaults: this.program.rules, accounts: {} },
        attemptDeadlineMs: 10_000,
      },
    );
    return gateway;
  }

  async #adopt(): Promise<void> {
    const process = this.#gateway;
    const parts = { broker: this.#broker, time: this.#time, clock: new ProcessClock(this.#time, process), process };
    void process.desk.adopt(new BookSession(ACCOUNT, this.#epoch, parts));
    await settle();
  }

  // --- acts ---

  #do(act: Act): void {
    switch (act.kind) {
      case 'submit': {
        this.#submit(act.order, act.key);
        return;
      }
      case 'repeat': {
        const placed = this.#placed[act.of];
        if (placed !== undefined) this.#ask(placed);
        return;
      }
      case 'close': {
        this.#close(act);
        return;
      }
      case 'close-all':
        for (const { symbol } of INSTRUMENTS)
          this.#closes.push({ symbol, share: 1, qty: undefined, at: this.#time.now });
        {
          this.#execute(
            { kind: 'close-all-positions', accountId: ACCOUNT, cancelOrders: act.cancelOrders, dryRun: false },
            () => undefined,
          );
          return;
        }
      case 'cancel': {
        this.#cancel(act.of);
        return;
      }
      case 'replace': {
        this.#replace(act);
        return;
      }
      case 'takeover': {
        this.#takeOver();
        return;
      }
      case 'reducing':
      case 'active': {
        const state = act.kind === 'reducing' ? 'REDUCING' : 'ACTIVE';
        this.#execute({ kind: 'set-trading-state', accountId: ACCOUNT, state, reason: 'program' }, () => undefined);
        return;
      }
      default: {
        this.#outside(act);
        return;
      }
    }
  }

  #submit(order: Readonly<Record<string, unknown>>, key: string | undefined): void {
    const ownId = `own-${this.#placed.length}`;
    const placed: Placed = { order: { ...order, client_order_id: ownId }, key, ownId, answers: [], asked: 0 };
    this.#placed.push(placed);
    this.#ask(placed);
  }

  #ask(placed: Placed): void {
    const { order, key, answers } = placed;
    placed.asked += 1;
    const assetClass = byName(String(order['symbol']))?.assetClass === 'us_option' ? 'options' : 'stocks';
    const naming = key === undefined ? {} : { idempotencyKey: key };
    this.#execute({ kind: 'submit-order', accountId: ACCOUNT, assetClass, order, dryRun: false, ...naming }, (answer) =>
      answers.push(answer),
    );
  }

  #close({ name, percentage, qty, key }: Extract<Act, { kind: 'close' }>): void {
    const symbol = byName(name)?.symbol ?? name;
    const share = percentage === undefined ? (qty === undefined ? 1 : undefined) : Number(percentage) / 100;
    this.#closes.push({ symbol, share, qty: qty === undefined ? undefined : Number(qty), at: this.#time.now });
    const part = {
      ...(percentage !== undefined && { percentage }),
      ...(qty !== undefined && { qty }),
      ...(key !== undefined && { idempotencyKey: key }),
    };
    this.#execute({ kind: 'close-position', accountId: ACCOUNT, symbol: name, dryRun: false, ...part }, (answer) =>
      this.#closeAnswers.push(answer),
    );
  }

  #cancel(of: number): void {
    const placed = this.#placed[of];
    if (placed === undefined) return;
    this.#execute(
      { kind: 'cancel-order', accountId: ACCOUNT, clientOrderId: placed.ownId, dryRun: false },
      () => undefined,
    );
  }

  #replace({ of, qty, limitPrice, idOf }: Extract<Act, { kind: 'replace' }>): void {
    const rowOf = (index: number): Row | undefined =>
      this.#broker.rows.find(({ clientOrderId }) => clientOrderId === this.#placed[index]?.ownId);
    const row = rowOf(of);
    if (row === undefined) return;
    const outside = this.#broker.rows.filter(isFromOutside);
    const other = idOf === undefined ? undefined : outside[idOf % Math.max(1, outside.length)];
    const own = { ...(qty !== undefined && { qty }), ...(limitPrice !== undefined && { limit_price: limitPrice }) };
    const changes =
      other?.limitPrice === undefined ? own : { limit_price: other.limitPrice, client_order_id: other.clientOrderId };
    this.#execute({ kind: 'replace-order', accountId: ACCOUNT, orderId: row.id, changes, dryRun: false }, (answer) =>
      this.#replaceAnswers.push({ target: row.id, answer }),
    );
  }

  #execute(request: Parameters<JournaledOrderDesk['execute']>[0], then: (answer: AccountAnswer) => void): void {
    const gateway = this.#gateway;
    gateway.desk.execute(request, { requestId: 'r', subject: 'caller', budgetMs: 20_000 }).then(
      (answer) => {
        if (gateway.isAlive) then(answer);
      },
      (cause: unknown) =>
        this.#wrong.push(`the desk threw: ${cause instanceof Error ? (cause.stack ?? '') : String(cause)}`),
    );
  }

  #takeOver(): void {
    this.#gateway.isAlive = false;
    this.#platter.crash(this.#random);
    this.#epoch += 1;
    this.#gateway = this.#start();
    void this.#adopt();
  }

  #outside(act: Extract<Act, { kind: `outside-${string}` | 'split' }>): void {
    const working = this.#broker.rows.filter(({ status }) => !TERMINAL.has(status) && status !== 'held');
    if (act.kind === 'split') {
      this.#broker.multiplyPosition(act.symbol, 2);
      this.#notePeak();
      return;
    }
    if (act.kind === 'outside-order') {
      this.#broker.enterOutside(act.symbol);
      return;
    }
    if (act.kind === 'outside-buy') {
      this.#broker.positions.set(act.symbol, round((this.#broker.positions.get(act.symbol) ?? 0) + act.qty));
      this.#notePeak();
      return;
    }
    const row = working[act.pick % Math.max(1, working.length)];
    if (row === undefined) return;
    if (act.kind === 'outside-fill') this.#broker.fill(row, 1 + (act.pick % 3));
    else this.#broker.end(row, act.kind === 'outside-cancel' ? 'canceled' : 'expired');
  }

  // --- the oracle ---

  #notePeak(): void {
    this.#peaks.push({ at: this.#time.now, positions: new Map(this.#broker.positions) });
  }

  #isClose(row: Row): boolean {
    return !row.clientOrderId.startsWith('own-') && row.replaces === undefined && row.type === 'market';
  }

  #checkArrival(row: Row): void {
    const { rules } = this.program;
    const name = `${row.clientOrderId} ${row.side} ${row.qty} ${row.symbol}`;
    const others = this.#broker.rows.filter(
      (one) => !TERMINAL.has(one.status) && one.status !== 'held' && one.id !== row.replaces,
    );
    if (this.#isClose(row)) {
      this.#checkClose(row, name);
      return;
    }
    const working = others.filter((one) => one.status !== 'replaced');
    const replaced = this.#broker.rows.find(({ id }) => id === row.replaces);
    const left = round(row.qty - (replaced?.filled ?? 0));
    if (rules.noShort === true && row.side === 'sell') {
      const reserved = working
        .filter(({ symbol, side }) => symbol === row.symbol && side === 'sell')
        .reduce((sum, one) => sum + one.qty - one.filled, 0);
      const held = this.#broker.positions.get(row.symbol) ?? 0;
      if (left > round(held - reserved))
        this.#wrong.push(`no_short: ${name} with ${held} held and ${reserved} reserved`);
    }
    // Closes are not refused by limits, and may have come between the decision and the arrival.
    const limited = working.filter((one) => !this.#isClose(one) && !isFromOutside(one)).length;
    if (rules.maxOpenOrders !== undefined && row.replaces === undefined && limited >= rules.maxOpenOrders)
      this.#wrong.push(`max_open_orders: ${name} beside ${limited}`);
    const { bid = 0, ask = 0, multiplier = 1 } = byName(row.symbol) ?? {};
    if (rules.maxOrderNotional !== undefined) {
      const price =
        row.type === 'limit'
          ? row.side === 'buy'
            ? Number(row.limitPrice)
            : Math.max(Number(row.limitPrice), bid)
          : row.side === 'buy'
            ? ask
            : bid;
      const byValue = this.#placed.find(({ ownId }) => ownId === row.clientOrderId)?.order['notional'];
      const value = byValue === undefined ? left * price * multiplier : Number(byValue);
      if (value > Number(rules.maxOrderNotional)) this.#wrong.push(`max_order_notional: ${name} is worth ${value}`);
    }
    if (rules.maxOrderQty !== undefined && left > Number(rules.maxOrderQty)) this.#wrong.push(`max_order_qty: ${name}`);
    if (rules.denySymbols !== undefined && row.symbol === 'MSFT') this.#wrong.push(`deny_symbols: ${name}`);
    this.#checkCounts(row, name);
  }

  #checkCounts(row: Row, name: string): void {
    const { maxOrdersPerMinute } = this.program.rules;
    if (maxOrdersPerMinute === undefined) return;
    // A request may be on its way for a while: what counts is when it was made, which the oracle sees only at arrival.
    const since = row.arrivedAt - 60_000 + 5_000;
    const sent = this.#broker.rows.filter(
      (one) => one.arrivedAt > since && !one.clientOrderId.startsWith('child-') && !isFromOutside(one),
    ).length;
    if (sent >= maxOrdersPerMinute + this.#closeCount(since))
      this.#wrong.push(`max_orders_per_minute: ${name} after ${sent}`);
  }

  /** Closes are not refused by limits, and count. */
  #closeCount(since: number): number {
    return this.#broker.rows.filter((one) => one.arrivedAt > since && this.#isClose(one)).length;
  }

  /** Never more than the largest close that was asked for may sell of the most that was held meanwhile. */
  #checkClose(row: Row, name: string): void {
    const asked = this.#closes.filter(({ symbol, at }) => symbol === row.symbol && at <= this.#time.now);
    const since = this.#time.now - 15_000;
    const before = this.#peaks.findLast(({ at }) => at <= since) ?? this.#peaks[0];
    const peaks = this.#peaks.filter(({ at }) => at > since).concat(before ?? []);
    const most = Math.max(
      ...peaks.map(({ positions }) => Math.abs(positions.get(row.symbol) ?? 0)),
      Math.abs(this.#broker.positions.get(row.symbol) ?? 0),
    );
    const allowed = Math.max(0, ...asked.map(({ share, qty }) => qty ?? (share ?? 0) * most));
    if (row.qty > allowed + 1e-6) this.#wrong.push(`close: ${name}, at most ${allowed} were asked for`);
    const open = this.#broker.rows.filter(
      (one) => one !== row && this.#isClose(one) && one.symbol === row.symbol && !TERMINAL.has(one.status),
    );
    if (open.length > 0) this.#wrong.push(`close: ${name} beside ${open[0]?.clientOrderId ?? ''}`);
  }

  #checkExecution(row: Row, qty: number, before: number): void {
    this.#notePeak();
    if (!this.#isClose(row)) return;
    const after = round(before + (row.side === 'buy' ? qty : -qty));
    const isFlip = (before > 0 && after < 0) || (before < 0 && after > 0) || Math.abs(after) > Math.abs(before);
    // Sells that nothing forbids may take what a close was computed from: without no_short only closes among themselves count.
    if (isFlip && this.program.rules.noShort === true)
      this.#wrong.push(`close: ${row.clientOrderId} took ${row.symbol} from ${before} to ${after}`);
  }

  #checkAnswers(): void {
    for (const { ownId, order, answers } of this.#placed) {
      const rows = this.#broker.rows.filter(({ clientOrderId }) => clientOrderId === ownId);
      if (rows.length > 1) this.#wrong.push(`${ownId} stands ${rows.length} times at the broker`);
      for (const answer of answers) this.#checkAnswer(ownId, order, { answer, row: rows[0] });
    }
    for (const { target, answer } of this.#replaceAnswers) {
      if (answer.kind !== 'answer' || answer.status !== 200) continue;
      const made = this.#rowOf(answer);
      if (made?.replaces !== target)
        this.#wrong.push(`a replacement of ${target} was acknowledged by ${made?.clientOrderId ?? 'nothing'}`);
    }
    for (const answer of this.#closeAnswers) {
      if (answer.kind === 'answer' && answer.status === 201 && this.#rowOf(answer) === undefined)
        this.#wrong.push('a close was acknowledged by an order that does not exist');
    }
  }

  #rowOf(answer: Extract<AccountAnswer, { kind: 'answer' }>): Row | undefined {
    const { id } = JSON.parse(new TextDecoder().decode(answer.body)) as { id?: string };
    return this.#broker.rows.find((row) => row.id === id);
  }

  #checkAnswer(
    ownId: string,
    order: Readonly<Record<string, unknown>>,
    { answer, row }: { answer: AccountAnswer; row: Row | undefined },
  ): void {
    if (answer.kind === 'answer') {
      const acked = answer.status === 201 ? this.#rowOf(answer) : undefined;
      if (answer.status === 201 && acked?.clientOrderId !== ownId)
        this.#wrong.push(`${ownId} was acknowledged by another order`);
      if (answer.status === 201 && acked?.symbol !== byName(String(order['symbol']))?.symbol)
        this.#wrong.push(`${ownId} was acknowledged for another instrument`);
      return;
    }
    const { code } = answer.problem;
    if (code === 'venue-rejected' && !this.#broker.refused.has(ownId))
      this.#wrong.push(`${ownId} was answered venue-rejected, and the broker never refused it`);
    const isFinal = ['venue-rejected', 'risk-denied', 'trading-halted', 'validation-failed'].includes(code);
    // The same key or id may be used again after a refusal of ours.
    const isOnly = this.#placed.find((one) => one.ownId === ownId)?.asked === 1;
    if (isFinal && row !== undefined && (isOnly || code === 'venue-rejected'))
      this.#wrong.push(`${ownId} was refused with ${code} and stands at the broker`);
    if (code === 'order-not-sent' && row !== undefined && isOnly)
      this.#wrong.push(`${ownId} was answered order-not-sent and stands at the broker`);
  }
}
