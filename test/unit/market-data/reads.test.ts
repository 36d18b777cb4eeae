import { afterEach, expect, test } from '@jest/globals';
import { answered, aQuote, everythingQuoted, ScriptedUpstream } from '../../support/scripted-upstream.js';
import { bodyOf, CONTEXT, MarketWorkers } from '../../support/market-workers.js';

let workers = new MarketWorkers();

afterEach(async () => {
  await workers.close();
});

function twoWorkers(upstream: ScriptedUpstream, ...standIns: ScriptedUpstream[]): MarketWorkers {
  workers = new MarketWorkers();
  workers.start(0);
  workers.start(1);
  workers.makeHub(0, [upstream, ...standIns]);
  return workers;
}

function doorOf(slot: number) {
  const worker = workers.workers.get(slot);
  if (worker === undefined) throw new TypeError('no such worker');
  return worker.marketData.door;
}

test('a quote that nobody has is fetched once, and then read from memory by every worker', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  twoWorkers(master);
  expect(doorOf(1).quoteNow('AAPL')).toBeUndefined();

  const first = await doorOf(1).execute({ kind: 'stock-quote', symbol: 'AAPL' }, CONTEXT);

  expect(bodyOf(first)).toMatchObject({
    symbol: 'AAPL',
    bid_price: 172.62,
    bid_size: 200,
    ask_price: 172.7,
    ask_size: 100,
    timestamp: '2026-01-05T15:00:00.286587431Z',
    bid_exchange: 'Q',
    ask_exchange: 'Q',
    conditions: ['R'],
    tape: 'C',
    source: 'rest',
    feed: 'iex',
    age_ms: expect.any(Number),
  });
  expect(bodyOf(doorOf(0).quoteNow('AAPL'))).toMatchObject({ symbol: 'AAPL' });
  expect(bodyOf(doorOf(1).quoteNow('AAPL'))).toMatchObject({ symbol: 'AAPL' });
  expect(master.ledger).toHaveLength(1);
});

test('a hundred identical cold requests on two workers are one request to the broker', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  twoWorkers(master);

  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      doorOf(index % 2).execute({ kind: 'stock-quote', symbol: 'TSLA' }, CONTEXT),
    ),
  );

  expect(answers.every((answer) => bodyOf(answer)['symbol'] === 'TSLA')).toBe(true);
  expect(master.ledger).toHaveLength(1);
});

test('an unknown symbol is a 404, a malformed one a 400 that costs no request', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  twoWorkers(master);

  const unknown = await doorOf(1).execute({ kind: 'stock-quote', symbol: 'UNKNOWN1' }, CONTEXT);
  const malformed = await doorOf(1).execute({ kind: 'stock-quote', symbol: 'BAD!' }, CONTEXT);

  expect(bodyOf(unknown)).toEqual({ problem: 'symbol-not-found' });
  expect(bodyOf(malformed)).toEqual({ problem: 'validation-failed' });
  expect(master.ledger).toHaveLength(1);
});

test('a batch keeps the order asked, and a bad symbol costs only its own entry', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  twoWorkers(master);

  const answer = await doorOf(1).execute(
    { kind: 'stock-quotes', symbols: ['MSFT', 'BAD!', 'UNKNOWN', 'AAPL'] },
    CONTEXT,
  );

  expect(bodyOf(answer)).toMatchObject({
    quotes: [
      { symbol: 'MSFT', bid_price: 172.62 },
      { symbol: 'BAD!', error: { code: 'validation-failed', detail: expect.any(String) } },
      { symbol: 'UNKNOWN', error: { code: 'symbol-not-found', detail: expect.any(String) } },
      { symbol: 'AAPL', bid_price: 172.62 },
    ],
    count: 4,
  });
});

test('a symbol that the broker calls malformed is found by halving and costs only its own entry', async () => {
  const master = new ScriptedUpstream('master', (request) => {
    const symbols = (request.url.searchParams.get('symbols') ?? '').split(',');
    return symbols.includes('ODD7') ? answered({ message: 'invalid symbol' }, 400) : everythingQuoted(request);
  });
  twoWorkers(master);
  const symbols = Array.from({ length: 500 }, (_, index) => (index === 333 ? 'ODD7' : `S${String(index)}`));

  const body = bodyOf(await doorOf(1).execute({ kind: 'stock-quotes', symbols }, CONTEXT));

  const entries = body['quotes'] as { readonly symbol: string; readonly error?: unknown }[];
  expect(entries.map(({ symbol }) => symbol)).toEqual(symbols);
  expect(entries.filter(({ error }) => error !== undefined).map(({ symbol }) => symbol)).toEqual(['ODD7']);
});

test('without a hub an old quote is given with its age and the mark stale', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  workers = new MarketWorkers({ settings: { quoteMaxAgeMs: 0 } });
  workers.start(0);
  workers.start(1);
  workers.makeHub(0, [master]);
  await doorOf(1).execute({ kind: 'stock-quote', symbol: 'AAPL' }, CONTEXT);
  await workers.kill(0);

  const answer = await doorOf(1).execute({ kind: 'stock-quote', symbol: 'AAPL' }, { ...CONTEXT, budgetMs: 300 });

  expect(bodyOf(answer)).toMatchObject({ symbol: 'AAPL', stale: true, age_ms: expect.any(Number) });
});

test('a refused master is replaced by the stand-in within the same request, and its name is in the answer', async () => {
  const master = new ScriptedUpstream('master', () => answered({ code: 40110000, message: 'unauthorized' }, 401));
  const standIn = new ScriptedUpstream('account_005', everythingQuoted);
  twoWorkers(master, standIn);

  const answer = await doorOf(1).execute({ kind: 'stock-quote', symbol: 'AAPL' }, CONTEXT);

  expect(bodyOf(answer)).toMatchObject({ symbol: 'AAPL', source: 'rest:account_005' });
});

test('a refused master without a stand-in is said to be refused, with the words of the broker', async () => {
  twoWorkers(new ScriptedUpstream('master', () => answered('<html>401</html>', 401)));

  const answer = await doorOf(0).execute({ kind: 'stock-quote', symbol: 'AAPL' }, CONTEXT);

  expect(answer).toMatchObject({
    kind: 'problem',
    problem: { code: 'market-data-unavailable', alpaca: { status: 401 } },
  });
});

test('bars are paged up to the limit and keep the token of the page that comes after', async () => {
  const bar = (minute: number) => ({
    t: `2026-01-05T15:${String(minute).padStart(2, '0')}:00Z`,
    o: 1,
    h: 2,
    l: 0.5,
    c: 1.5,
    v: 100,
    n: 3,
    vw: 1.25,
  });
  const master = new ScriptedUpstream('master', ({ url }) => {
    const from = Number(url.searchParams.get('page_token') ?? 0);
    const limit = Number(url.searchParams.get('limit'));
    // A page may be shorter than its limit and still have a next one.
    const size = Math.min(limit, 3);
    return answered({
      bars: { AAPL: Array.from({ length: size }, (_, index) => bar(from + index)) },
      next_page_token: String(from + size),
    });
  });
  twoWorkers(master);

  const body = bodyOf(
    await doorOf(1).execute({ kind: 'stock-bars', symbol: 'AAPL', query: { timeframe: '1Min', limit: 8 } }, CONTEXT),
  );

  expect(body['bars']).toHaveLength(8);
  expect(body).toMatchObject({ symbol: 'AAPL', timeframe: '1Min', next_page_token: '8' });
  expect((body['bars'] as unknown[])[7]).toEqual({
    timestamp: '2026-01-05T15:07:00Z',
    open: 1,
    high: 2,
    low: 0.5,
    close: 1.5,
    volume: 100,
    trade_count: 3,
    vwap: 1.25,
  });
});

test('reference data is the broker’s own bytes, asked on the trading host once', async () => {
  const text = '{"timestamp":"2025-06-24T14:15:22-04:00", "is_open":true}';
  const master = new ScriptedUpstream('master', () => answered(text));
  twoWorkers(master);

  const ask = () => doorOf(1).execute({ kind: 'reference', resource: 'clock', query: '' }, CONTEXT);
  const [first] = await Promise.all([ask(), ask(), ask()]);

  if (first.kind !== 'answer') throw new TypeError('refused');
  expect(Buffer.from(first.body).toString()).toBe(text);
  expect(first.headers).toMatchObject({ etag: expect.stringMatching(/^W\//), age: '0' });
  expect(master.ledger.map(({ host, url }) => [host, url.pathname])).toEqual([['trading', '/v2/clock']]);
});

test('a spent budget is a clear 429 with the time to try again', async () => {
  const master = new ScriptedUpstream('master', () =>
    answered({ message: 'rate limit exceeded' }, 429, { 'x-ratelimit-remaining': '0', 'retry-after': '30' }),
  );
  twoWorkers(master);

  const answer = await doorOf(1).execute({ kind: 'stock-quote', symbol: 'AAPL' }, CONTEXT);

  expect(answer).toMatchObject({ kind: 'problem', problem: { code: 'rate-limited', retryAfterS: expect.any(Number) } });
  expect(master.ledger).toHaveLength(1);
});

test('a quote of another feed never answers for the configured one', async () => {
  const master = new ScriptedUpstream('master', ({ url }) =>
    answered({ quotes: { AAPL: aQuote({ bp: url.searchParams.get('feed') === 'sip' ? 2 : 1 }) } }),
  );
  twoWorkers(master);

  const sip = await doorOf(1).execute({ kind: 'stock-quote', symbol: 'AAPL', feed: 'sip' }, CONTEXT);
  const own = await doorOf(1).execute({ kind: 'stock-quote', symbol: 'AAPL' }, CONTEXT);

  expect(bodyOf(sip)).toMatchObject({ bid_price: 2, feed: 'sip' });
  expect(bodyOf(own)).toMatchObject({ bid_price: 1, feed: 'iex' });
});

test.each([
  ['a page of HTML', '<html><body>maintenance</body></html>'],
  ['nothing', ''],
  ['half an asset', '{"symbol":"AA'],
  ['a long page', `<html>${'x'.repeat(100_000)}</html>`],
])('%s with status 200 is never handed out as an asset, nor kept', async (_, page) => {
  const encoder = new TextEncoder();
  let body = page;
  const master = new ScriptedUpstream('master', () => ({
    kind: 'answered',
    status: 200,
    headers: {},
    body: encoder.encode(body),
  }));
  twoWorkers(master);
  const ask = () => doorOf(1).execute({ kind: 'reference', resource: 'asset', symbol: 'AAPL', query: '' }, CONTEXT);

  const first = await ask();
  body = '{"symbol":"AAPL"}';
  const second = await ask();

  expect(first).toMatchObject({ kind: 'problem', problem: { code: 'broker-unreadable' } });
  expect(bodyOf(second)).toEqual({ symbol: 'AAPL' });
});
