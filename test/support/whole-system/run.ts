/** Runs a program against a gateway and its simulated broker, and keeps what each client was answered. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfiguredAccount, GatewayProcess } from '../gateway-process.js';
import { Caller } from '../simulator-caller.js';
import type { ClientStep, FaultStep, OutsideStep, Program, Step } from './program.js';

export interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly isReplay: boolean;
}

/** A client's order with every answer that it got, oldest first. */
export interface Placed {
  readonly account: number;
  readonly number: number;
  readonly order: Readonly<Record<string, unknown>>;
  readonly key: string | undefined;
  readonly answers: Answer[];
}

/** Any other request of a client. */
export interface Asked {
  readonly account: number;
  readonly act: ClientStep;
  readonly target: string | undefined;
  readonly answer: Answer;
}

export interface HistoryLine {
  readonly account: number | undefined;
  readonly text: string;
}

const REQUEST_MS = 30_000;
/** A connection that broke or a 5xx: the caller repeats under its own key or id, as the contract says. */
const TRIES_MAX = 80;

export class ProgramRun {
  readonly placed: Placed[][];
  readonly asked: Asked[] = [];
  readonly history: HistoryLine[] = [];
  readonly #authorization: Promise<string>;
  readonly #under: Set<Promise<void>> = new Set();
  /** Requests of one account's client follow one another. */
  readonly #tails: Promise<void>[];
  #away: ConfiguredAccount | undefined;
  #foreign = 0;
  readonly #startedAt = performance.now();

  constructor(
    private readonly gateway: GatewayProcess,
    accounts: number,
  ) {
    this.placed = Array.from({ length: accounts }, () => []);
    this.#tails = Array.from({ length: accounts }, () => Promise.resolve());
    this.#authorization = gateway.token().then((token) => `Bearer ${token}`);
  }

  /** Resolves when every client has its answers and nothing is stopped or away any more. */
  async run(program: Program): Promise<void> {
    for (const step of program.steps) {
      await sleep(step.afterMs);
      this.#begin(step);
    }
    await this.settle();
    if (this.#away !== undefined) await this.#fault({ kind: 'account-returns' });
  }

  async settle(): Promise<void> {
    while (this.#under.size > 0) await Promise.all(this.#under);
  }

  /** Lines of one account and the faults of all, for a message. */
  historyOf(account: number): string {
    const lines = this.history.filter((line) => line.account === undefined || line.account === account);
    return lines.map(({ text }) => text).join('\n');
  }

  accountId(account: number): string {
    return this.gateway.accountIds[account] ?? '';
  }

  #begin(step: Step): void {
    const done = (() => {
      if (step.by === 'fault') return this.#fault(step.act);
      if (step.by === 'outside') return this.#outside(step.account, step.act as OutsideStep);
      const next = (this.#tails[step.account] ?? Promise.resolve()).then(() =>
        this.#client(step.account, step.act as ClientStep),
      );
      this.#tails[step.account] = next;
      return next;
    })();
    const kept: Promise<void> = done.finally(() => this.#under.delete(kept));
    this.#under.add(kept);
  }

  async #client(account: number, act: ClientStep): Promise<void> {
    if (act.kind === 'place') {
      const placed = {
        account,
        number: this.placed[account]?.length ?? 0,
        order: act.order,
        key: act.key,
        answers: [],
      };
      this.placed[account]?.push(placed);
      await this.#place(placed);
      return;
    }
    const of = 'of' in act ? this.placed[account]?.[act.of] : undefined;
    if (act.kind === 'repeat') {
      if (of !== undefined) await this.#place(of);
      return;
    }
    const base = `/accounts/${this.accountId(account)}`;
    const target = of === undefined ? undefined : orderIdOf(of);
    const own = of === undefined ? '' : String(of.order['client_order_id']);
    let answer: Answer | undefined;
    if (act.kind === 'cancel' && target !== undefined) answer = await this.#ask('DELETE', `${base}/orders/${target}`);
    if (act.kind === 'cancel-by-client-id')
      answer = await this.#ask('DELETE', `${base}/orders/by-client-order-id/${own}`);
    if (act.kind === 'replace' && target !== undefined)
      answer = await this.#ask('PATCH', `${base}/orders/${target}`, { limit_price: act.limitPrice });
    if (act.kind === 'close') {
      const part = act.percentage === undefined ? '' : `?percentage=${act.percentage}`;
      answer = await this.#ask('DELETE', `${base}/positions/${encodeURIComponent(act.symbol)}${part}`);
    }
    if (act.kind === 'cancel-all') answer = await this.#ask('DELETE', `${base}/orders`);
    if (act.kind === 'list') answer = await this.#ask('GET', `${base}/orders?status=open`);
    if (act.kind === 'read') answer = await this.#ask('GET', `${base}/orders/by-client-order-id/${own}`);
    if (answer === undefined) return;
    this.asked.push({ account, act, target, answer });
    this.#note(account, `${JSON.stringify(act)} ${target ?? own} -> ${answer.status} ${answer.code ?? ''}`);
  }

  /** Until the answer is one that a caller stops at. */
  async #place(placed: Placed): Promise<void> {
    const path = `/accounts/${this.accountId(placed.account)}/orders/stocks`;
    const headers: Record<string, string> = placed.key === undefined ? {} : { 'idempotency-key': placed.key };
    for (let attempt = 1; attempt <= TRIES_MAX; attempt += 1) {
      const answer = await this.#ask('POST', path, placed.order, headers);
      placed.answers.push(answer);
      if (attempt === 1 || answer.status < 500)
        this.#note(placed.account, `place ${JSON.stringify(placed.order)} -> ${answer.status} ${answer.code ?? ''}`);
      const isAgain = answer.status === 0 || answer.status >= 500 || [404, 409, 429].includes(answer.status);
      if (!isAgain) return;
      await sleep(Math.min(1_000, 50 * attempt));
    }
  }

  async #ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    try {
      const response = await fetch(`${this.gateway.url}/api/v1${path}`, {
        method,
        headers: { authorization: await this.#authorization, 'content-type': 'application/json', ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(REQUEST_MS),
      });
      const text = await response.text();
      const parsed: unknown = text === '' ? {} : JSON.parse(text);
      const json = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as Record<string, unknown>;
      const isReplay = response.headers.get('idempotency-replayed') === 'true';
      const code = typeof json['code'] === 'string' ? json['code'] : undefined;
      return { status: response.status, code, body: json, text, isReplay };
    } catch (cause) {
      return { status: 0, code: String(cause), body: {}, text: '', isReplay: false };
    }
  }

  async #outside(account: number, act: OutsideStep): Promise<void> {
    const { control, accounts, endpoints } = this.gateway.simulator;
    const accountId = this.accountId(account);
    this.#note(account, `at the broker: ${JSON.stringify(act)}`);
    if (act.kind === 'split') {
      await control.splitPosition(accountId, act.symbol, '2');
      return;
    }
    if (act.kind === 'foreign-order') {
      const keys = accounts.find((one) => one.accountId === accountId);
      if (keys === undefined) return;
      this.#foreign += 1;
      const order = { symbol: 'KO', qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day' };
      const caller = new Caller(endpoints.trading, keys);
      await caller
        .post('/v2/orders', { ...order, client_order_id: `foreign-${account}-${this.#foreign}` })
        .catch(() => undefined);
      return;
    }
    const working = (await control.orders({ accountId })).filter(({ status }) =>
      ['new', 'partially_filled'].includes(status),
    );
    const order = working[act.pick % Math.max(1, working.length)];
    if (order === undefined) return;
    // It may end before the broker's own hand reaches it.
    const ignored = (): undefined => undefined;
    if (act.kind === 'fill') await control.fill(order.id, {}).catch(ignored);
    if (act.kind === 'fill-part') await control.fill(order.id, { qty: '1' }).catch(ignored);
    if (act.kind === 'cancel') await control.cancel(order.id).catch(ignored);
    if (act.kind === 'expire') await control.expire(order.id).catch(ignored);
  }

  async #fault(act: FaultStep): Promise<void> {
    this.#note(undefined, `FAULT ${JSON.stringify(act)}`);
    // A slot whose worker is being replaced has no process to signal.
    const ignored = (): undefined => undefined;
    if (act.kind === 'kill-worker') await this.gateway.signalWorker(act.slot, 'SIGKILL').catch(ignored);
    if (act.kind === 'stop-worker') await this.gateway.signalWorker(act.slot, 'SIGSTOP').catch(ignored);
    if (act.kind === 'rolling-restart') this.gateway.primary.kill('SIGUSR2');
    if (act.kind === 'drop-streams') await this.gateway.simulator.control.dropStreams(undefined, true);
    if (act.kind === 'account-leaves') {
      this.gateway.rewriteConfig((config) => {
        const list = config['trading_accounts'] as ConfiguredAccount[];
        this.#away = list.pop();
      });
      this.gateway.primary.kill('SIGHUP');
    }
    if (act.kind === 'account-returns') {
      const back = this.#away;
      if (back === undefined) return;
      this.#away = undefined;
      this.gateway.rewriteConfig((config) => {
        (config['trading_accounts'] as ConfiguredAccount[]).push(back);
      });
      this.gateway.primary.kill('SIGHUP');
    }
  }

  #note(account: number | undefined, text: string): void {
    const at = ((performance.now() - this.#startedAt) / 1_000).toFixed(3);
    const name = account === undefined ? '' : ` ${this.accountId(account)}`;
    this.history.push({ account, text: `${at}${name} ${text}` });
  }
}

/** The broker's id of a client's order, as its answers named it. */
function orderIdOf({ answers }: Placed): string | undefined {
  const acked = answers.find(({ status }) => status === 201);
  return acked === undefined ? undefined : String(acked.body['id']);
}
