/**
 * A client of order events that behaves as documented: it keeps its place per account, comes back when it is cut off,
 * resumes, and keeps what it was told, so that a test can hold that against the simulator's own truth.
 */
import { WebSocket } from 'ws';
import { isFill } from '../../src/workers/accounts/trade-updates.js';
import { markOf } from './gap-flow.js';
import { eventually, type GatewayProcess } from './gateway-process.js';

export interface ToldEvent {
  readonly accountId: string;
  readonly epoch: number;
  readonly seq: number;
  readonly event: string;
  /** Of a fill: its order and what that had filled after it. */
  readonly fill: string | undefined;
  readonly orderId: string;
}

export interface ToldGap {
  readonly accountId: string;
  readonly epoch: number;
  readonly from: number;
  readonly to: number;
}

interface StreamMessage {
  readonly type: string;
  readonly account_id: string;
  readonly epoch: number;
  readonly seq: number;
  readonly event: string;
  readonly cum_qty?: string;
  readonly order: { readonly id: string; readonly filled_qty: string };
  readonly from: number;
  readonly to: number;
}

export class OrderStreamReader {
  readonly events: ToldEvent[] = [];
  readonly gaps: ToldGap[] = [];
  /** Close codes, in order. */
  readonly closes: number[] = [];
  #socket: WebSocket | undefined;
  #isDone = false;
  #subscribed: ReadonlySet<string> = new Set();
  readonly #last = new Map<string, { epoch: number; seq: number }>();
  #ready: Promise<void> = Promise.resolve();

  constructor(
    private readonly url: string,
    private readonly token: string,
    private readonly accountIds: readonly string[],
  ) {}

  /** Resolves when every account is subscribed or resumed. */
  open(): Promise<void> {
    this.#ready = this.#connect();
    return this.#ready;
  }

  /** For a message of a test that failed. */
  toString(): string {
    const state = ['connecting', 'open', 'closing', 'closed'][this.#socket?.readyState ?? 3];
    const closes = `${this.closes.length} closes, the last ${this.closes.slice(-3).join(' ')}`;
    return `socket ${state}, ${this.#subscribed.size} of ${this.accountIds.length} accounts, ${this.events.length} events, ${closes}`;
  }

  /** Cut without a word, as a network does. It comes back by itself. */
  drop(): void {
    this.#socket?.terminate();
  }

  close(): void {
    this.#isDone = true;
    this.#socket?.terminate();
  }

  #connect(): Promise<void> {
    return new Promise((resolve) => {
      const socket = new WebSocket(`${this.url.replace('http', 'ws')}/api/v1/stream`, {
        headers: { authorization: `Bearer ${this.token}` },
      });
      this.#socket = socket;
      const subscribed = new Set<string>();
      this.#subscribed = subscribed;
      socket.on('open', () => {
        if (this.closes.length === 0) {
          socket.send(JSON.stringify({ action: 'subscribe', orders: this.accountIds }));
          return;
        }
        // An account of which nothing was told yet has no place to resume from but the beginning.
        for (const accountId of this.accountIds) {
          const { epoch, seq } = this.#last.get(accountId) ?? { epoch: 0, seq: 0 };
          socket.send(JSON.stringify({ action: 'resume', account_id: accountId, epoch, seq }));
        }
      });
      socket.on('message', (data: Buffer) => {
        const value = JSON.parse(data.toString()) as StreamMessage | StreamMessage[];
        for (const message of Array.isArray(value) ? value : [value]) {
          if (message.type === 'subscription') {
            for (const id of (message as unknown as { orders: string[] }).orders) subscribed.add(id);
            if (this.accountIds.every((id) => subscribed.has(id))) resolve();
          } else if (message.type === 'error') socket.terminate();
          else this.#hear(message);
        }
      });
      socket.on('error', () => undefined);
      socket.on('close', (code) => {
        this.closes.push(code);
        if (this.#isDone) resolve();
        else setTimeout(() => void this.#connect().then(resolve), 50);
      });
    });
  }

  #hear(message: StreamMessage): void {
    if (message.type === 'gap') {
      this.gaps.push({ accountId: message.account_id, epoch: message.epoch, from: message.from, to: message.to });
      this.#last.set(message.account_id, { epoch: message.epoch, seq: message.to });
    }
    if (message.type !== 'order') return;
    this.#last.set(message.account_id, { epoch: message.epoch, seq: message.seq });
    this.events.push({
      accountId: message.account_id,
      epoch: message.epoch,
      seq: message.seq,
      event: message.event,
      fill: isFill(message.event) ? markOf(message.order.id, message.cum_qty ?? message.order.filled_qty) : undefined,
      orderId: message.order.id,
    });
  }
}

/** Places where the sequence of one account does not go on by one within an epoch, or goes back. */
export function breaksInOrder(events: readonly ToldEvent[], gaps: readonly ToldGap[]): readonly string[] {
  const last = new Map<string, { epoch: number; seq: number }>();
  const breaks: string[] = [];
  for (const { accountId, epoch, seq } of events) {
    const before = last.get(accountId);
    last.set(accountId, { epoch, seq });
    if (before === undefined) continue;
    const isNext = epoch === before.epoch ? seq === before.seq + 1 : epoch > before.epoch && seq === 1;
    const isTold = gaps.some((gap) => gap.accountId === accountId && gap.epoch === epoch && gap.to === seq - 1);
    if (!isNext && !isTold) breaks.push(`${accountId}: ${before.epoch}/${before.seq} then ${epoch}/${seq}`);
  }
  return breaks;
}

/** Two readers of every account's events, added to those that the test closes. */
export async function openReaders(readers: OrderStreamReader[], gateway: GatewayProcess): Promise<void> {
  const token = await gateway.token();
  for (let n = 0; n < 2; n += 1) {
    const reader = new OrderStreamReader(gateway.url, token, gateway.accountIds);
    readers.push(reader);
    await reader.open();
  }
}

/** Orders at the broker that a reader was never told of, each reader's, when that has had its time. */
export async function untoldAtLast(gateway: GatewayProcess, readers: readonly OrderStreamReader[]) {
  const atBroker = await gateway.simulator.control.orders();
  const untold = (reader: OrderStreamReader): typeof atBroker => {
    const told = new Set(reader.events.map(({ orderId }) => orderId));
    return atBroker.filter(({ id }) => !told.has(id));
  };
  const isAllTold = (): boolean => readers.every((reader) => untold(reader).length === 0);
  await eventually(isAllTold, 'every order was told on every socket').catch(() => undefined);
  return readers.map(untold);
}
