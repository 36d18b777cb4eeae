import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openDataVenue, StreamClient, type DataVenue } from '../../support/data-venue.js';

let venue: DataVenue;
const clients: StreamClient[] = [];
beforeEach(async () => {
  venue = await openDataVenue({
    symbols: 40,
    optionUnderlyings: [{ underlying: 'AAPL', contracts: 400, expirations: 4 }],
  });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.terminate();
  await venue.close();
});

function open(feed: string, codec: 'json' | 'msgpack' = 'json', headers: Record<string, string> = {}): StreamClient {
  const client = StreamClient.open(`${venue.socketUrl}/${feed}`, codec, headers);
  clients.push(client);
  return client;
}

async function member(feed: string, codec: 'json' | 'msgpack' = 'json'): Promise<StreamClient> {
  const client = open(feed, codec);
  await client.login(venue.key, venue.secret);
  return client;
}

const error = (code: number, msg: string): unknown => [{ T: 'error', code, msg }];

test.each(['json', 'msgpack'] as const)('a %s session is welcomed, let in and told its whole state', async (codec) => {
  const client = open('v2/iex', codec);
  expect(await client.next()).toEqual([{ T: 'success', msg: 'connected' }]);
  expect(await client.ask({ action: 'auth', key: venue.key, secret: venue.secret })).toEqual([
    { T: 'success', msg: 'authenticated' },
  ]);
  await client.ask({ action: 'subscribe', trades: ['AAPL'], quotes: ['MSFT', 'SPY'], bars: ['*'] });

  const [state] = await client.ask({ action: 'unsubscribe', quotes: ['SPY'] });

  expect(state).toEqual({
    T: 'subscription',
    trades: ['AAPL'],
    quotes: ['MSFT'],
    bars: ['*'],
    updatedBars: [],
    dailyBars: [],
    statuses: [],
    lulds: [],
    imbalances: [],
    corrections: ['AAPL'],
    cancelErrors: ['AAPL'],
  });
});

test('handshake headers let a client in without a message', async () => {
  const client = open('v2/iex', 'json', { 'APCA-API-KEY-ID': venue.key, 'APCA-API-SECRET-KEY': venue.secret });
  expect(await client.next()).toEqual([{ T: 'success', msg: 'connected' }]);
  expect(await client.next()).toEqual([{ T: 'success', msg: 'authenticated' }]);
  expect(await client.ask({ action: 'auth', key: venue.key, secret: venue.secret })).toEqual(
    error(403, 'already authenticated'),
  );
});

test('a wrong key is told 402 and closed', async () => {
  const client = open('v2/iex');
  await client.next();
  expect(await client.ask({ action: 'auth', key: venue.key, secret: 'no' })).toEqual(error(402, 'auth failed'));
  await client.closed;
});

test('a key that is refused in the middle of a session loses the socket with 402', async () => {
  const client = await member('v2/iex');
  venue.faults.refusedKeys.add(venue.key);
  expect(await client.next()).toEqual(error(402, 'auth failed'));
  await client.closed;
  const again = open('v2/iex');
  await again.next();
  expect(await again.ask({ action: 'auth', key: venue.key, secret: venue.secret })).toEqual(error(402, 'auth failed'));
});

test('who does not authenticate in ten seconds is told 404 and closed', async () => {
  const client = open('v2/iex');
  await client.next();
  venue.clock.advance(9_999);
  expect(client.frames).toEqual([]);
  venue.clock.advance(1);
  expect(await client.next()).toEqual(error(404, 'auth timeout'));
  await client.closed;
});

test('a second connection of one key to one feed loses with 406, and may come in when the first has left', async () => {
  const first = await member('v2/iex');
  await member('v1beta1/opra', 'msgpack');
  const second = open('v2/iex');
  await second.next();
  const login = { action: 'auth', key: venue.key, secret: venue.secret };
  expect(await second.ask(login)).toEqual(error(406, 'connection limit exceeded'));

  first.socket.close();
  await first.closed;
  let answer = await second.ask(login);
  for (let tries = 0; answer[0].T === 'error' && tries < 50; tries += 1) answer = await second.ask(login);
  expect(answer).toEqual([{ T: 'success', msg: 'authenticated' }]);
});

test('a switch answers 406 until its moment has passed', async () => {
  venue.faults.connectionLimitUntil = venue.clock.now() + 5_000;
  const client = open('v2/iex');
  await client.next();
  const login = { action: 'auth', key: venue.key, secret: venue.secret };
  expect(await client.ask(login)).toEqual(error(406, 'connection limit exceeded'));
  venue.clock.advance(5_000);
  expect(await client.ask(login)).toEqual([{ T: 'success', msg: 'authenticated' }]);
});

test('bad words are 400, early ones 401, and the session lives on', async () => {
  const client = open('v2/iex');
  await client.next();
  expect(await client.ask({ action: 'subscribe', trades: ['AAPL'] })).toEqual(error(401, 'not authenticated'));
  client.socket.send('not json');
  expect(await client.next()).toEqual(error(400, 'invalid syntax'));
  await client.ask({ action: 'auth', key: venue.key, secret: venue.secret });
  expect(await client.ask({ action: 'subscribe', trades: ['BRK-B'] })).toEqual(error(400, 'invalid syntax'));
  expect(await client.ask({ action: 'dance' })).toEqual(error(400, 'invalid syntax'));
  expect((await client.ask({ action: 'subscribe', trades: ['BRK.B'] }))[0].trades).toEqual(['BRK.B']);
});

test('one symbol too many refuses the request as a whole and changes nothing', async () => {
  venue.faults.plan = 'basic';
  const client = await member('v2/iex');
  const names = Array.from({ length: 29 }, (_, at) => `SYM${String(at + 1).padStart(4, '0')}`);
  await client.ask({ action: 'subscribe', trades: names });
  const more = { action: 'subscribe', quotes: ['AAPL', 'MSFT'], bars: ['AAPL'] };
  expect(await client.ask(more)).toEqual(error(405, 'symbol limit exceeded'));
  const [state] = await client.ask({ action: 'subscribe', quotes: ['AAPL'] });
  expect([state.trades, state.quotes, state.bars]).toEqual([names, ['AAPL'], []]);
});

test('the plan decides the feed: 409', async () => {
  venue.faults.plan = 'basic';
  const client = open('v2/sip');
  await client.next();
  const login = { action: 'auth', key: venue.key, secret: venue.secret };
  expect(await client.ask(login)).toEqual(error(409, 'insufficient subscription'));
});

test('option streams want msgpack (412), no star for quotes (413) and no bars (410)', async () => {
  const json = open('v1beta1/opra', 'json');
  const frames = [await json.next(), await json.next()];
  expect(frames[1]).toEqual(error(412, 'option messages are only available in MsgPack format'));
  await json.closed;

  const client = await member('v1beta1/opra', 'msgpack');
  expect((await client.ask({ action: 'subscribe', quotes: ['*'] }))[0].code).toBe(413);
  expect((await client.ask({ action: 'subscribe', bars: ['AAPL260116C00230000'] }))[0].code).toBe(410);
  expect((await client.ask({ action: 'subscribe', trades: ['*'] }))[0]).toEqual({
    T: 'subscription',
    trades: ['*'],
    quotes: [],
  });
});

test('msgpack carries exact timestamps and 64-bit ids; JSON carries the same values as text', async () => {
  const packed = await member('v2/iex', 'msgpack');
  const plain = await member('v2/sip');
  for (const client of [packed, plain]) await client.ask({ action: 'subscribe', trades: ['AAPL'], quotes: ['AAPL'] });

  venue.market.setPrice('AAPL', 231.5);

  const [quote, trade] = await packed.next();
  const { quote: q, trade: t } = venue.market.stock('AAPL')!;
  expect(trade).toEqual({
    T: 't',
    S: 'AAPL',
    i: BigInt(t.i),
    x: t.x,
    p: 231.5,
    s: t.s,
    c: ['@'],
    t: spec(t.at),
    z: 'C',
  });
  expect(quote).toMatchObject({ T: 'q', S: 'AAPL', bp: q.bp, ap: q.ap, t: spec(q.at) });
  const [, text] = await plain.next();
  expect(text.i).toBe(t.i);
  expect(text.t).toMatch(/^2026-01-05T16:00:00\.\d+Z$/);
});

function spec(at: { ms: number; ns: number }): { sec: number; nsec: number } {
  return { sec: Math.floor(at.ms / 1000), nsec: (at.ms % 1000) * 1_000_000 + at.ns };
}

test('the last record of every symbol is what the market holds, and only subscribed symbols arrive', async () => {
  const client = await member('v2/sip', 'msgpack');
  const wanted = ['AAPL', 'MSFT', 'SYM0001'];
  await client.ask({ action: 'subscribe', quotes: wanted, trades: ['SPY'] });

  venue.market.ticker.tick(40 * 12);
  const records: any[] = await client.next();

  expect(new Set(records.map(({ T, S }) => `${T} ${S}`))).toEqual(
    new Set([...wanted.map((symbol) => `q ${symbol}`), 't SPY']),
  );
  for (const symbol of wanted) {
    const last = records.filter(({ S }) => S === symbol).at(-1);
    expect([last.bp, last.ap]).toEqual([venue.market.quote(symbol)!.bid, venue.market.quote(symbol)!.ask]);
  }
  expect(records.filter(({ S }) => S === 'SPY').at(-1).p).toBe(venue.market.last('SPY'));
});

test('option records are timed and shaped as options, from ticks of their own', async () => {
  const occ = venue.market.contracts({ underlyings: ['AAPL'], type: 'call' })[40]!.symbol;
  const client = await member('v1beta1/indicative', 'msgpack');
  await client.ask({ action: 'subscribe', quotes: [occ], trades: [occ] });
  venue.market.ticker.setSymbols([occ]);
  venue.market.ticker.tick(3);

  const [quote, , trade] = await client.next();

  expect(Object.keys(quote).sort()).toEqual(['S', 'T', 'ap', 'as', 'ax', 'bp', 'bs', 'bx', 'c', 't']);
  expect(typeof quote.c).toBe('string');
  expect(Object.keys(trade).sort()).toEqual(['S', 'T', 'c', 'p', 's', 't', 'x']);
  expect(trade.p).toBe(venue.market.last(occ));
});

test('a minute bar arrives when its minute ends and is the bar of the history', async () => {
  const client = await member('v2/iex');
  await client.ask({ action: 'subscribe', bars: ['AAPL'], dailyBars: ['AAPL'] });
  venue.clock.advance(60_000);
  const [bar, day] = await client.next();

  const query = 'timeframe=1Min&start=2026-01-05T16:00:00Z&end=2026-01-05T16:00:59Z';
  const { body } = await venue.get(`/v2/stocks/AAPL/bars?${query}`);
  expect({ ...bar, T: undefined, S: undefined }).toEqual({ ...body.bars[0], T: undefined, S: undefined });
  const daily = await venue.get('/v2/stocks/AAPL/bars?timeframe=1Day&start=2026-01-05');
  expect({ ...day, T: undefined, S: undefined }).toEqual({ ...daily.body.bars[0], T: undefined, S: undefined });
});

test('corrections and cancellations come to whoever subscribed to trades', async () => {
  const client = await member('v2/iex', 'msgpack');
  await client.ask({ action: 'subscribe', trades: ['AAPL'], statuses: ['*'] });
  const at = venue.market.instant();
  venue.market.publish([
    {
      kind: 'event',
      channel: 'cancelErrors',
      symbol: 'AAPL',
      at,
      fields: { i: 465, x: 'D', p: 1, s: 3, a: 'C', z: 'C' },
    },
    {
      kind: 'event',
      channel: 'cancelErrors',
      symbol: 'MSFT',
      at,
      fields: { i: 466, x: 'D', p: 1, s: 3, a: 'C', z: 'C' },
    },
    {
      kind: 'event',
      channel: 'statuses',
      symbol: 'MSFT',
      at,
      fields: { sc: 'H', sm: 'Trading Halt', rc: 'T12', rm: '', z: 'C' },
    },
  ]);
  const records = await client.next();
  expect(records).toMatchObject([
    { T: 'x', S: 'AAPL', i: 465n },
    { T: 's', S: 'MSFT', sc: 'H' },
  ]);
});

test('a muted feed sends nothing and answers no ping; speaking again it does', async () => {
  const client = await member('v2/iex');
  await client.ask({ action: 'subscribe', trades: ['AAPL'] });
  venue.faults.mutedFeeds.add('v2/iex');
  client.socket.ping();
  venue.market.setPrice('AAPL', 200);
  const other = await member('v2/sip');
  await other.ask({ action: 'subscribe', trades: ['AAPL'] });
  expect([client.frames, client.pongs]).toEqual([[], 0]);

  venue.faults.mutedFeeds.clear();
  venue.market.setPrice('AAPL', 201);
  expect((await client.next())[0].p).toBe(201);
});

test('delayed ticks arrive late and in order', async () => {
  const client = await member('v2/iex');
  await client.ask({ action: 'subscribe', trades: ['AAPL'] });
  venue.faults.tickDelayMs = 700;
  venue.market.setPrice('AAPL', 200);
  venue.market.setPrice('AAPL', 201);
  venue.clock.advance(699);
  expect(client.frames).toEqual([]);
  venue.clock.advance(1);
  expect([(await client.next())[0].p, (await client.next())[0].p]).toEqual([200, 201]);
});

test('a dropped feed loses its sockets and no other feed does', async () => {
  const stocks = await member('v2/iex');
  const options = await member('v1beta1/opra', 'msgpack');
  expect(venue.streams.dropFeed('v2/iex', true)).toBe(1);
  expect(await stocks.closed).toBe(1006);
  expect((await options.ask({ action: 'subscribe', trades: ['*'] }))[0].T).toBe('subscription');
  expect(venue.streams.openSessions('v1beta1/opra')).toBe(1);
});

test('a client that does not read is told 407 and cut', async () => {
  venue.faults.slowClientBytes = 1_000;
  const client = await member('v2/sip');
  await client.ask({ action: 'subscribe', quotes: ['*'] });
  client.socket.pause();
  for (let turn = 0; turn < 200 && venue.streams.openSessions('v2/sip') === 1; turn += 1) {
    venue.market.ticker.tick(20_000);
    venue.clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(venue.streams.openSessions('v2/sip')).toBe(0);
});

test('the test feed always moves its one symbol', async () => {
  const client = await member('v2/test', 'msgpack');
  await client.ask({ action: 'subscribe', quotes: ['FAKEPACA'], trades: ['*'] });
  venue.clock.advance(1_000);
  const records: any[] = await client.next();
  expect(records.map(({ T, S }) => `${T} ${S}`)).toEqual(['q FAKEPACA', 't FAKEPACA']);
});
