/** Runs desk-process.mjs again and again on one data directory, and keeps asking until every order is told. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import type { AccountKeys } from '../../src/simulator/accounts.js';
import type { SimulatorEndpoints } from '../../src/simulator/simulator.js';

export interface DeskOrder {
  readonly accountId: string;
  readonly key: string;
  /** Its own: the broker's book shows a duplicate even under another client id. */
  readonly price: string;
  /** Status or problem code of every answer. */
  readonly answers: string[];
  readonly named: Set<string>;
  /** The body of the first 201. */
  text: string | undefined;
}

interface Answer {
  readonly ready?: boolean;
  readonly n: number;
  readonly status: number;
  readonly code?: string;
  readonly text?: string;
  readonly clientOrderId?: string;
  readonly isReplay?: boolean;
}

export interface DeskProcessOptions {
  readonly dataDir: string;
  readonly slot: number;
  readonly accounts: readonly AccountKeys[];
  readonly endpoints: SimulatorEndpoints;
}

const PROGRAM = new URL('./desk-process.mjs', import.meta.url).pathname;
/** Older than any age at which an order is still sent a second time: what is not at the broker stays unknown. */
const OPEN_AFTER_MS = 11_000;

export class DeskProcesses {
  readonly orders: DeskOrder[] = [];
  /** Replays whose bytes differed from what was told first, and first answers marked as replays, or the reverse. */
  readonly wrong: string[] = [];
  kills = 0;
  #epoch = 0;

  constructor(private readonly options: DeskProcessOptions) {}

  /** One process: asks again for what is not told yet, places `fresh` orders, and lives until it dies by itself. */
  async untilKilled(crashAt: string, fresh: number): Promise<void> {
    for (let n = 0; n < fresh; n += 1) this.#add();
    const { signal } = await this.#run(crashAt, this.#untold(), () => Promise.resolve('leave'));
    if (signal !== 'SIGKILL') throw new TypeError(`not killed at ${crashAt}: ${String(signal)}`);
    this.kills += 1;
  }

  /** A last process that lives: everything is told, or unknown and too old to be sent; then every key is asked once more. */
  async settle(isAtBroker: (order: DeskOrder) => boolean | Promise<boolean>): Promise<void> {
    const since = performance.now();
    const isOpen = async (order: DeskOrder): Promise<boolean> =>
      order.text === undefined &&
      (performance.now() - since < OPEN_AFTER_MS || order.answers.at(-1) !== '202' || (await isAtBroker(order)));
    const left = this.#untold();
    if (left.length > 0) await this.#run('', left, async (order) => ((await isOpen(order)) ? 'ask' : 'leave'));
    await this.#run('', this.orders, () => Promise.resolve('leave'));
  }

  #add(): DeskOrder {
    const n = this.orders.length;
    const { accounts } = this.options;
    const order: DeskOrder = {
      ...{ accountId: accounts[n % accounts.length]?.accountId ?? '', key: randomUUID(), answers: [] },
      ...{ named: new Set<string>(), price: ((n + 100) / 100).toFixed(2), text: undefined },
    };
    this.orders.push(order);
    return order;
  }

  #untold(): readonly DeskOrder[] {
    return this.orders.filter(({ text }) => text === undefined);
  }

  async #run(
    crashAt: string,
    given: readonly DeskOrder[],
    next: (order: DeskOrder) => Promise<'ask' | 'leave'>,
  ): Promise<{ readonly signal: NodeJS.Signals | null }> {
    this.#epoch += 1;
    const orders = [...given];
    const { dataDir, slot, accounts, endpoints } = this.options;
    const config = {
      ...{
        dataDir,
        cluster: {},
        marketData: { sharedMemoryDir: tmpdir() },
        streams: { ringSize: 1_000 },
        risk: { defaults: {}, accounts: {} },
      },
      orders: {
        ...{ requireIdempotencyKey: true, ambiguous: 'resubmit_same_id', answerDeadlineMs: 1_000 },
        ...{ quarantineAfterMs: 900_000, onLate: 'keep', keepKeysDays: 9 },
      },
      alpaca: {
        ...{ requestTimeoutMs: 2_000, poolConnections: 8, rateLimitPerMinute: 100_000 },
        endpoints: { tradingPaper: endpoints.trading, streamTradingPaper: endpoints.streamTrading },
      },
    };
    const told = JSON.stringify({ slot, epoch: this.#epoch, accounts, config, crashAt });
    const child = spawn(process.execPath, [PROGRAM, told], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, NODE_ENV: 'test' },
    });
    child.stdin.on('error', () => undefined);
    const waiting = new Set(orders.keys());
    const ask = (n: number): void => {
      const { accountId, key, price } = orders[n] ?? {};
      const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: price };
      child.stdin.write(`${JSON.stringify({ n, accountId, key, order })}\n`);
    };
    createInterface({ input: child.stdout }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      if (answer.ready === true) {
        for (const n of orders.keys()) ask(n);
        return;
      }
      const order = orders[answer.n];
      if (order === undefined) return;
      this.#hear(order, answer);
      void next(order).then((step) => {
        if (step === 'ask') setTimeout(() => ask(answer.n), 50);
        else waiting.delete(answer.n);
        if (waiting.size > 0) return;
        // One that is to die goes on until it does: an order that was left unknown may have passed its point by.
        if (crashAt === '') child.stdin.end();
        else ask(orders.push(this.#add()) - 1);
      });
    });
    const guard = setTimeout(() => child.kill('SIGTERM'), 120_000);
    const [, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    clearTimeout(guard);
    return { signal };
  }

  #hear(order: DeskOrder, { status, code, text, clientOrderId, isReplay }: Answer): void {
    order.answers.push(code ?? String(status));
    if (clientOrderId !== undefined) order.named.add(clientOrderId);
    if (status !== 201 || text === undefined) return;
    if (order.text !== undefined && (text !== order.text || isReplay !== true)) this.wrong.push(`${order.key} ${text}`);
    order.text ??= text;
  }
}
