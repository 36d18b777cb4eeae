/** Market data (docs/api.md#market-data). The hottest route stands first: Express tries them in this order. */
import joi from 'joi';
import type { BarsQuery, ChainQuery, MarketDataRequest } from '../../market-data/market-data-door.js';
import * as answer from './answer-schemas.js';
import * as field from '../schema/fields.js';
import type { JsonSchema } from '../schema/fields.js';
import { writeQuery } from '../query-text.js';
import { BASE, type Call, type Doors, type Reply, type Route } from './route.js';

const feed = field
  .oneOf('iex', 'sip', 'delayed_sip', 'boats', 'overnight', 'otc')
  .description('Default: the configured feed.');
const BATCH_BYTES_MAX = 256 * 1024;
const batch = { symbols: field.symbolsText.required(), feed };
const barsQuery = {
  timeframe: joi
    .string()
    .pattern(/^(?:[1-5]?\d(?:Min|T)|(?:1?\d|2[0-3])(?:Hour|H)|1(?:Day|D|Week|W)|(?:[1-46]|12)(?:Month|M))$/)
    .default('1Day')
    .description('Such as 1Min, 5Min, 1Hour, 1Day, 1Week, 1Month.'),
  start: field.time,
  end: field.time,
  limit: field.count(10_000),
  adjustment: field.words.description('raw, split, dividend, spin-off, all.'),
  feed,
  sort: field.oneOf('asc', 'desc'),
  page_token: field.pageToken,
};
const chainQuery = {
  expiration_date: field.date,
  expiration_date_gte: field.date,
  expiration_date_lte: field.date,
  type: field.oneOf('call', 'put'),
  strike_price_gte: field.decimal('not-negative', 'Lowest strike.'),
  strike_price_lte: field.decimal('not-negative', 'Highest strike.'),
  grouped: field.flag.description('By expiration date and strike.'),
};

type Query = Call['query'];

function ask(make: (call: Call) => MarketDataRequest) {
  return (call: Call, doors: Doors): Promise<Reply> => doors.marketData.execute(make(call), call.context, call.signal);
}

function text(query: Query, name: string): string | undefined {
  const value = query[name];
  return value === undefined ? undefined : String(value);
}

function listOf(query: Query): string[] {
  return (text(query, 'symbols') ?? '').split(',');
}

function withFeed(query: Query): { feed?: string } {
  const value = text(query, 'feed');
  return value === undefined ? {} : { feed: value };
}

function toBars(query: Query): BarsQuery {
  const { page_token: pageToken, ...rest } = query;
  return { ...rest, ...(pageToken === undefined ? {} : { pageToken }) } as unknown as BarsQuery;
}

function toChain(call: Call): ChainQuery {
  const names = {
    expirationDate: 'expiration_date',
    expirationDateGte: 'expiration_date_gte',
    expirationDateLte: 'expiration_date_lte',
    type: 'type',
    strikePriceGte: 'strike_price_gte',
    strikePriceLte: 'strike_price_lte',
  };
  const given = Object.entries(names).flatMap(([ours, theirs]) => {
    const value = text(call.query, theirs);
    return value === undefined ? [] : [[ours, value] as const];
  });
  return { ...Object.fromEntries(given), grouped: call.query['grouped'] === 'true', gzip: call.acceptsGzip };
}

type Reference = Extract<MarketDataRequest, { readonly kind: 'reference' }>['resource'];

function reference(resource: Reference) {
  return ask(({ path, query }) => ({
    kind: 'reference',
    resource,
    ...(path['symbol'] === undefined ? {} : { symbol: path['symbol'] }),
    query: writeQuery(query),
  }));
}

function ok(schema: JsonSchema, description = 'Found.'): Route['answers'] {
  return [{ status: 200, description, schema }];
}

function read(template: string, route: Omit<Route, 'method' | 'template' | 'permission' | 'work' | 'tag'>): Route {
  return {
    method: 'GET',
    template: `${BASE}${template}`,
    permission: 'market_data',
    work: 'read',
    tag: 'Market data',
    ...route,
  };
}

const stockPath = { symbol: field.stockSymbol };

export const marketDataRoutes: readonly Route[] = [
  read('/stocks/quote/{symbol}', {
    name: 'getStockQuote',
    summary: 'Latest quote of one stock',
    description:
      'From memory where the gateway has it fresh; `source` and `age_ms` say where it came from and how old it is.',
    path: stockPath,
    query: { feed },
    answers: ok(answer.quote),
    quick: (path, doors) => {
      const symbol = path['symbol'] ?? '';
      return field.isStockSymbol(symbol) ? doors.marketData.quoteNow(symbol) : undefined;
    },
    handle: (call, doors) => {
      const symbol = call.path['symbol'] ?? '';
      const now = call.query['feed'] === undefined ? doors.marketData.quoteNow(symbol) : undefined;
      return (
        now ??
        doors.marketData.execute({ kind: 'stock-quote', symbol, ...withFeed(call.query) }, call.context, call.signal)
      );
    },
  }),
  read('/stocks/quotes', {
    name: 'getStockQuotes',
    summary: 'Latest quotes of many stocks',
    query: batch,
    answers: ok(answer.quotes, 'In the order asked; a bad symbol costs only its own entry.'),
    handle: ask(({ query }) => ({ kind: 'stock-quotes', symbols: listOf(query), ...withFeed(query) })),
  }),
  {
    ...read('/stocks/quotes', {
      name: 'postStockQuotes',
      summary: 'Latest quotes of a long list of stocks',
      body: joi.object({ symbols: field.symbolsList.required(), feed }).label('SymbolList'),
      bodyExamples: { 'two symbols': { symbols: ['AAPL', 'MSFT'] } },
      bodyBytesMax: BATCH_BYTES_MAX,
      bodyValuesMax: field.SYMBOLS_MAX + 10,
      answers: ok(answer.quotes, 'In the order asked; a bad symbol costs only its own entry.'),
      handle: ask(({ body }) => ({
        kind: 'stock-quotes',
        symbols: body['symbols'] as readonly string[],
        ...(typeof body['feed'] === 'string' ? { feed: body['feed'] } : {}),
      })),
    }),
    method: 'POST',
  },
  read('/stocks/bars/{symbol}', {
    name: 'getStockBars',
    summary: 'Bars of one stock',
    path: stockPath,
    query: barsQuery,
    answers: ok(answer.bars),
    handle: ask(({ path, query }) => ({ kind: 'stock-bars', symbol: path['symbol'] ?? '', query: toBars(query) })),
  }),
  read('/stocks/trades/{symbol}/latest', {
    name: 'getLatestStockTrade',
    summary: 'Latest trade of one stock',
    path: stockPath,
    query: { feed },
    answers: ok(answer.trade),
    handle: ask(({ path, query }) => ({ kind: 'latest-trade', symbol: path['symbol'] ?? '', ...withFeed(query) })),
  }),
  read('/stocks/snapshots', {
    name: 'getStockSnapshots',
    summary: 'Snapshots of many stocks',
    query: batch,
    answers: ok(answer.snapshots),
    handle: ask(({ query }) => ({ kind: 'stock-snapshots', symbols: listOf(query), ...withFeed(query) })),
  }),
  read('/options/chain/{symbol}', {
    name: 'getOptionChain',
    summary: 'Option chain of an underlying',
    path: stockPath,
    query: chainQuery,
    answers: ok(answer.chain),
    handle: ask((call) => ({ kind: 'option-chain', underlying: call.path['symbol'] ?? '', query: toChain(call) })),
  }),
  read('/options/quote/{option_symbol}', {
    name: 'getOptionQuote',
    summary: 'Latest quote of one option',
    path: { option_symbol: field.optionSymbol },
    answers: ok(answer.quote),
    handle: ask(({ path }) => ({ kind: 'option-quote', symbol: path['option_symbol'] ?? '' })),
  }),
  read('/options/quotes', {
    name: 'getOptionQuotes',
    summary: 'Latest quotes of many options',
    query: { symbols: field.symbolsText.required() },
    answers: ok(answer.quotes),
    handle: ask(({ query }) => ({ kind: 'option-quotes', symbols: listOf(query) })),
  }),
  read('/options/bars', {
    name: 'getOptionBars',
    summary: 'Bars of options',
    query: { symbols: field.symbolsText.required(), ...barsQuery },
    answers: ok(answer.optionBars),
    handle: ask(({ query: { symbols, ...query } }) => ({
      kind: 'option-bars',
      symbols: listOf({ symbols }),
      query: toBars(query),
    })),
  }),
  read('/options/contracts', {
    name: 'getOptionContracts',
    summary: 'Option contracts',
    description:
      "Alpaca's own answer. Without dates only contracts that expire before the coming weekend are returned.",
    query: {
      underlying_symbols: field.symbolsText,
      status: field.oneOf('active', 'inactive'),
      expiration_date: field.date,
      expiration_date_gte: field.date,
      expiration_date_lte: field.date,
      root_symbol: field.tradedSymbol,
      type: field.oneOf('call', 'put'),
      style: field.oneOf('american', 'european'),
      strike_price_gte: chainQuery.strike_price_gte,
      strike_price_lte: chainQuery.strike_price_lte,
      limit: field.count(10_000),
      page_token: field.pageToken,
      show_deliverables: field.flag,
      ppind: field.flag,
    },
    answers: ok(answer.anyObject),
    handle: reference('option-contracts'),
  }),
  read('/assets', {
    name: 'getAssets',
    summary: 'Assets',
    query: {
      status: field.oneOf('active', 'inactive'),
      asset_class: field.words,
      exchange: field.words,
      attributes: field.words,
    },
    answers: ok(answer.anyList),
    handle: reference('assets'),
  }),
  read('/assets/{symbol}', {
    name: 'getAsset',
    summary: 'One asset',
    path: { symbol: field.tradedSymbol },
    answers: ok(answer.anyObject),
    handle: reference('asset'),
  }),
  read('/clock', {
    name: 'getClock',
    summary: 'Market clock',
    answers: ok(answer.anyObject),
    handle: reference('clock'),
  }),
  read('/calendar', {
    name: 'getCalendar',
    summary: 'Market calendar',
    query: { start: field.time, end: field.time, date_type: field.oneOf('TRADING', 'SETTLEMENT') },
    answers: ok(answer.anyList),
    handle: reference('calendar'),
  }),
];
