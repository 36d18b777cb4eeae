import { afterEach, expect, test } from '@jest/globals';
import { Agent, fetch } from 'undici';
import { startGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { tell } from '../../support/order-load.js';

const LONG = process.env['OPITIOS_LONG'] === '1';
const TIMES = LONG ? [2, 5, 10] : [2];
const PHASE_MS = LONG ? 15_000 : 2_000;
const WARM_UP_MS = LONG ? 3_000 : 1_000;
/** The broker is the narrow place: so many sockets, each answer this late. */
const CONNECTIONS = 6;
const LATENCY_MS = 40;
const ORDER_SHARE = 0.2;
const RECOVERY_MS_MAX = 20_000;

let gateway: GatewayProcess | undefined;
let agent: Agent | undefined;
afterEach(async () => {
  await agent?.destroy();
  await gateway?.stop();
}, 60_000);

interface Answered {
  readonly kind: 'order' | 'read';
  readonly status: number;
  readonly ms: number;
}

class OpenLoop {
  readonly answers: Answered[] = [];
  readonly #running = new Set<Promise<void>>();
  #sent = 0;

  constructor(
    private readonly running: GatewayProcess,
    private readonly authorization: string,
  ) {}

  /** Sends at this rate whatever becomes of what was sent. */
  async run(perSecond: number, forMs: number): Promise<void> {
    const startedAt = performance.now();
    let sent = 0;
    while (performance.now() - startedAt < forMs) {
      const due = ((performance.now() - startedAt) / 1_000) * perSecond;
      for (; sent < due; sent += 1) this.#send();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all(this.#running);
  }

  one(kind: Answered['kind']): Promise<Answered> {
    this.#sent += 1;
    const { running } = this;
    const accountId = running.accountIds[this.#sent % running.accountIds.length] ?? '';
    const at = performance.now();
    const base = `${running.url}/api/v1/accounts/${accountId}`;
    const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day' };
    const headers = { authorization: this.authorization, 'content-type': 'application/json' };
    const options = { headers, ...(agent !== undefined && { dispatcher: agent }) };
    const asked =
      kind === 'read'
        ? fetch(`${base}/account?fresh=true`, options)
        : fetch(`${base}/orders/stocks`, { ...options, method: 'POST', body: JSON.stringify(order) });
    return asked
      .then(async (response) => {
        await response.arrayBuffer();
        return { kind, status: response.status, ms: performance.now() - at };
      })
      .catch(() => ({ kind, status: 0, ms: performance.now() - at }));
  }

  #send(): void {
    const kind = this.#sent % (1 / ORDER_SHARE) === 0 ? 'order' : 'read';
    const running = this.one(kind).then((answer) => {
      this.answers.push(answer);
      this.#running.delete(running);
    });
    this.#running.add(running);
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
}

test(`at ${TIMES.join(', ')} times the peak the gateway goes on with what it can do, says 429 or 503 to the rest, and is itself again at once`, async () => {
  gateway = await startGateway({
    accounts: 40,
    simulator: ['--rate', '1000000'],
    config: {
      alpaca: { rate_limit_per_minute: 100_000, pool_connections: CONNECTIONS },
      limits: { in_flight_max: 200 },
    },
  });
  const running = gateway;
  agent = new Agent({ connections: 2_000, pipelining: 1 });
  await running.simulator.control.switchOn({ fault: { kind: 'latency', ms: LATENCY_MS }, path: '/v2/*' });
  const authorization = `Bearer ${await running.token()}`;
  const closed = new OpenLoop(running, authorization);
  const calm: number[] = [];
  const from = performance.now() + WARM_UP_MS;
  let done = 0;
  // The peak: as many callers as the broker has sockets for, each with one request at a time.
  await Promise.all(
    Array.from({ length: CONNECTIONS * 4 }, async (_, caller) => {
      while (performance.now() < from + PHASE_MS) {
        const answer = await closed.one(caller % 5 === 0 ? 'order' : 'read');
        if (performance.now() < from) continue;
        if (answer.status < 300 && answer.status > 0) done += 1;
        if (answer.kind === 'order') calm.push(answer.ms);
      }
    }),
  );
  const peak = done / (PHASE_MS / 1_000);
  tell(`peak ${peak.toFixed(0)} requests/s, order p99 ${quantile(calm, 0.99)} ms`);
  for (const times of TIMES) {
    const loop = new OpenLoop(running, authorization);
    const loopFrom = performance.now();
    await loop.run(peak * times, PHASE_MS);
    const seconds = (performance.now() - loopFrom) / 1_000;
    const good = loop.answers.filter(({ status }) => status >= 200 && status < 300);
    const orders = good.filter(({ kind }) => kind === 'order');
    const sentOrders = loop.answers.filter(({ kind }) => kind === 'order').length;
    const refused = loop.answers.filter(({ status }) => status === 429 || status === 503);
    const recoveryFrom = performance.now();
    let inRow = 0;
    while (inRow < 5 && performance.now() - recoveryFrom < RECOVERY_MS_MAX) {
      const { status, ms } = await loop.one('order');
      inRow = status === 201 && ms < LATENCY_MS * 5 ? inRow + 1 : 0;
    }
    const recoveryMs = performance.now() - recoveryFrom;
    // Far beyond the peak a request that cannot be read in time is told so: nothing of it has been done.
    const honest = [200, 201, 202, 429, 503, 504, ...(times > 2 ? [408] : [])];
    const unread = loop.answers.filter(({ status }) => status === 408).length;
    const odd = loop.answers.filter(({ status }) => !honest.includes(status));
    tell(
      `${times} x: goodput ${(good.length / seconds).toFixed(0)}/s (${((good.length / seconds / peak) * 100).toFixed(0)} % of the peak), ` +
        `orders taken ${orders.length} of ${sentOrders}, order p50 ${quantile(
          orders.map(({ ms }) => ms),
          0.5,
        )} ms p99 ${quantile(
          orders.map(({ ms }) => ms),
          0.99,
        )} ms; ` +
        `refused ${refused.length}, refusal p99 ${quantile(
          refused.map(({ ms }) => ms),
          0.99,
        )} ms, 504 ${loop.answers.filter(({ status }) => status === 504).length}, 408 ${unread}; ` +
        `five good orders in a row after ${recoveryMs.toFixed(0)} ms; others ${odd
          .map(({ status }) => status)
          .slice(0, 5)
          .join(' ')}`,
    );

    expect(odd).toEqual([]);
    expect(good.length).toBeGreaterThan(0);
    expect(orders.length).toBeGreaterThan(0);
    expect(recoveryMs).toBeLessThan(RECOVERY_MS_MAX);
  }
}, 300_000);
