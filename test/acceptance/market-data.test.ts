/** Market data through a whole gateway of three workers; the broker is the simulator in a process of its own. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { eventually, type GatewayProcess } from '../support/gateway-process.js';
import { startGateway } from '../support/gateway-under-test.js';

interface Quote {
  readonly symbol: string;
  readonly age_ms: number;
  readonly source: string;
  readonly stale?: boolean;
  readonly error?: { readonly code: string };
}

interface Bar {
  readonly timestamp: string;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  readonly volume: number;
}

const SYMBOLS = ['AAPL', 'MSFT', 'SPY'];

let gateway: GatewayProcess;

beforeAll(async () => {
  gateway = await startGateway({
    workers: 3,
    accounts: 3,
    simulator: ['--symbols', '600', '--ticks', '300', '--data-rate', '100000'],
    // On a machine that is slow a hundred requests take longer than a quote is young: they must stay one question.
    config: { market_data: { fallback_accounts: ['account_001'], quote_max_age_ms: 60_000 } },
  });
}, 90_000);

afterEach(async () => {
  await gateway.simulator.control.switchOff();
  await gateway.simulator.control.setMarketFaults({ refusedKeys: [], mutedFeeds: [] });
});

afterAll(async () => {
  await gateway.stop();
}, 60_000);

async function json<T>(path: string): Promise<T> {
  return (await (await gateway.get(path)).json()) as T;
}

async function quote(symbol: string): Promise<Quote> {
  return json<Quote>(`/stocks/quote/${symbol}`);
}

async function areLive(source = 'stream'): Promise<boolean> {
  const quotes = await Promise.all(SYMBOLS.map(quote));
  return quotes.every((one) => one.source === source && one.stale === undefined && one.age_ms < 2_000);
}

function goLive(what: string, source = 'stream'): Promise<void> {
  return eventually(() => areLive(source), what);
}

test('an unknown symbol is 404 and a malformed one 400', async () => {
  const unknown = await gateway.get('/stocks/quote/ZZZZQ');
  const malformed = await gateway.get('/stocks/quote/BAD!');

  expect([unknown.status, ((await unknown.json()) as { code: string }).code]).toEqual([404, 'symbol-not-found']);
  expect([malformed.status, ((await malformed.json()) as { code: string }).code]).toEqual([400, 'validation-failed']);
});

test('a hundred identical cold requests over all workers are one call at the broker', async () => {
  const [symbol = ''] = (await json<{ symbol: string }[]>('/assets')).map((one) => one.symbol).slice(-1);
  await gateway.simulator.control.switchOn({
    fault: { kind: 'latency', ms: 300, when: 'before' },
    path: '/v2/stocks/quotes/latest',
  });
  await gateway.simulator.control.clearLedger();

  // Connections are spread over the workers; each request opens its own.
  const answers = await Promise.all(Array.from({ length: 100 }, () => quote(symbol)));

  expect(answers.map((answer) => answer.symbol)).toEqual(Array(100).fill(symbol));
  const calls = (await gateway.simulator.control.ledger({ path: '/v2/stocks/quotes/latest' })).entries;
  expect(calls.filter((entry) => JSON.stringify(entry).includes(symbol))).toHaveLength(1);
});

test('batches that overlap each hold their own symbols, whatever was answered before them', async () => {
  const symbols = (await json<{ symbol: string }[]>('/assets')).map((one) => one.symbol).slice(0, 600);
  const authorization = `Bearer ${await gateway.token()}`;
  const asked = async (turn: number): Promise<void> => {
    // Long and short in turn, each rotated to a place of its own.
    const length = 60 + ((turn * 97) % 540);
    const wanted = [...symbols.slice(turn), ...symbols.slice(0, turn)].slice(0, length);
    const response = await fetch(`${gateway.url}/api/v1/stocks/quotes`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ symbols: wanted }),
    });
    const { quotes } = (await response.json()) as { quotes: Quote[] };
    expect(quotes.map(({ symbol }) => symbol)).toEqual(wanted);
  };
  for (let turn = 0; turn < 200; turn += 20)
    await Promise.all(Array.from({ length: 20 }, (_, index) => asked(turn + index)));
});

test('a malformed symbol in a batch of 500 costs only its own entry', async () => {
  const symbols = (await json<{ symbol: string }[]>('/assets')).map((one) => one.symbol).slice(0, 499);
  symbols.splice(250, 0, 'BAD!');

  const response = await fetch(`${gateway.url}/api/v1/stocks/quotes`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await gateway.token()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ symbols }),
  });
  const { quotes, count } = (await response.json()) as { quotes: Quote[]; count: number };

  expect(response.status).toBe(200);
  expect(count).toBe(500);
  expect(quotes.map(({ symbol }) => symbol)).toEqual(symbols);
  expect(quotes.filter(({ error }) => error !== undefined)).toMatchObject([{ symbol: 'BAD!' }]);
});

test.each([
  ['5Min', 'asc'],
  ['5Min', 'desc'],
  ['15Min', 'asc'],
  ['15Min', 'desc'],
  ['1Hour', 'asc'],
  ['1Hour', 'desc'],
  ['1Day', 'asc'],
  ['1Day', 'desc'],
])('%s bars (%s) equal the broker’s own over page borders', async (timeframe, sort) => {
  const range = { timeframe, sort, start: '2025-11-03T00:00:00Z', end: '2025-12-20T00:00:00Z' };
  const theirs = await brokerBars({ ...range, symbols: 'MSFT', limit: '10000' });
  const ours: Bar[] = [];
  let pageToken: string | null = null;
  // A first page of 7 and large ones after it: no border may lose or double a bar.
  do {
    const query = new URLSearchParams({ ...range, limit: ours.length === 0 ? '7' : '1500' });
    if (pageToken !== null) query.set('page_token', pageToken);
    const page = await json<{ bars: Bar[]; next_page_token: string | null }>(`/stocks/bars/MSFT?${query.toString()}`);
    ours.push(...page.bars);
    pageToken = page.next_page_token;
  } while (pageToken !== null);

  expect(theirs.length).toBeGreaterThan(7);
  expect(ours.map((bar) => [Date.parse(bar.timestamp), bar.open, bar.high, bar.low, bar.close, bar.volume])).toEqual(
    theirs.map((bar) => [Date.parse(bar.t), bar.o, bar.h, bar.l, bar.c, bar.v]),
  );
});

interface BrokerBar {
  readonly t: string;
  readonly o: number;
  readonly h: number;
  readonly l: number;
  readonly c: number;
  readonly v: number;
}

async function brokerBars(query: Record<string, string>): Promise<readonly BrokerBar[]> {
  const { master, endpoints } = gateway.simulator;
  const bars: BrokerBar[] = [];
  let token: string | null = null;
  do {
    const asked: URLSearchParams = new URLSearchParams({ ...query, feed: 'iex', ...(token && { page_token: token }) });
    const response = await fetch(`${endpoints.data}/v2/stocks/bars?${asked.toString()}`, {
      headers: { 'APCA-API-KEY-ID': master.apiKey, 'APCA-API-SECRET-KEY': master.secretKey },
    });
    const page = (await response.json()) as { bars: Record<string, BrokerBar[]>; next_page_token: string | null };
    bars.push(...Object.values(page.bars).flat());
    token = page.next_page_token;
  } while (token !== null);
  return bars;
}

test('a refused master key hands quotes to the stand-in, and the master takes them back', async () => {
  await goLive('live by the master');

  await gateway.simulator.control.setMarketFaults({ refusedKeys: [gateway.simulator.master.apiKey] });
  const refusedAt = performance.now();
  await goLive('live by the stand-in', 'stream:account_001');
  const standInMs = performance.now() - refusedAt;

  await gateway.simulator.control.setMarketFaults({ refusedKeys: [] });
  const mendedAt = performance.now();
  await goLive('live by the master again');
  const backMs = performance.now() - mendedAt;
  console.log(
    `live by the stand-in after ${standInMs.toFixed(0)} ms, by the master again after ${backMs.toFixed(0)} ms`,
  );
}, 120_000);

test('a feed that falls silent is found out: subscriptions are back, and meanwhile no answer hides its age', async () => {
  await goLive('live');

  await gateway.simulator.control.setMarketFaults({ mutedFeeds: ['v2/iex'] });
  await eventually(async () => (await quote('AAPL')).stale === true, 'the silence found out', 40_000);
  await gateway.simulator.control.setMarketFaults({ mutedFeeds: [] });

  await goLive('live again');
}, 120_000);

test('a cut socket costs nothing but a gap: every symbol is live again', async () => {
  await goLive('live');

  for (let cut = 0; cut < 3; cut += 1) {
    await gateway.simulator.control.cutConnections();
    await goLive(`live after cut ${String(cut)}`);
  }
}, 90_000);

test('whichever worker is killed, the hub’s among them, a successor feeds the table; reads go on with their age', async () => {
  // The hub stays in its slot until that is killed: one of the three kills ends it.
  for (const slot of [0, 1, 2]) {
    await goLive(`live before the kill of slot ${String(slot)}`);
    await gateway.signalWorker(slot, 'SIGKILL');
    const killedAt = Date.now();
    const refused: number[] = [];
    let answered = 0;
    await eventually(
      async () => {
        // The killed worker takes its connections along: those are not answers.
        const response = await gateway.get('/stocks/quote/AAPL').catch(() => undefined);
        if (response === undefined) return false;
        answered += 1;
        if (response.status !== 200) refused.push(response.status);
        const last = (await response.json()) as Quote;
        // What was received later than this was written by whoever is the hub now.
        return last.stale === undefined && last.source === 'stream' && Date.now() - last.age_ms > killedAt + 500;
      },
      `live again after the kill of slot ${String(slot)}`,
    );
    expect(answered).toBeGreaterThan(0);
    expect(refused).toEqual([]);
    await eventually(async () => (await gateway.pool()).workers.every(({ state }) => state === 'ready'), 'all ready');
  }
}, 120_000);
