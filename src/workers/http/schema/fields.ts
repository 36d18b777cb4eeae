/** The building blocks of every schema: shapes only. Whether an order makes sense is the broker's decision, not ours. */
import joi from 'joi';

/** How a field looks in the OpenAPI document where joi's own description does not say it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const STOCK_SYMBOL = /^[A-Z][A-Z0-9]{0,11}(?:[./][A-Z0-9]{1,11})?$/;
/** OCC without padding (docs/broker-wire.md#symbols). */
const OPTION_SYMBOL = /^[A-Z][A-Z0-9.]{0,5}\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[CP]\d{8}$/;
/**
 * A symbol, a pair or an asset id: what the broker takes where it says `symbol_or_asset_id`. What looks like a contract has
 * a date: a month 13 names nothing.
 */
const TRADED_SYMBOL =
  /^(?![A-Z][A-Z0-9.]{0,5}\d{2}(?!(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))\d{4}[CP]\d{8}$)[A-Z0-9][\w./-]{0,39}$/i;
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;
const PRINTABLE = /^[\x20-\x7e]+$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
const TOKEN = /^[\w+/=.:|-]{1,512}$/;
const WORDS = /^[\w-]{1,40}(?:,[\w-]{1,40}){0,49}$/;

export function isStockSymbol(text: string): boolean {
  return STOCK_SYMBOL.test(text);
}

function shaped(pattern: RegExp, description: string, example: string): joi.StringSchema {
  return joi.string().pattern(pattern).description(description).example(example);
}

export const accountId = shaped(/^[\w-]{1,64}$/, 'Our name of a brokerage account; case-sensitive.', 'account_001');
export const stockSymbol = shaped(STOCK_SYMBOL, 'Upper case; class shares with a dot.', 'AAPL');
export const optionSymbol = shaped(OPTION_SYMBOL, 'OCC symbol without padding.', 'AAPL250620C00100000');
export const tradedSymbol = shaped(TRADED_SYMBOL, 'Symbol, pair or asset id.', 'AAPL');
export const orderId = shaped(UUID, "The broker's order id.", '7b08df51-c1ac-453c-99f9-323a5f075f0d');
export const clientOrderId = shaped(PRINTABLE, 'Unique within the account.', 'my-order-1').max(128);
export const date = shaped(DATE, 'A date.', '2026-01-05');
export const time = shaped(TIME, 'RFC 3339 time, or a date.', '2026-01-05T14:30:00Z');
export const pageToken = shaped(TOKEN, 'From the page before.', 'MTAwMA==');
export const words = shaped(WORDS, 'Values separated by commas.', 'FILL,DIV');
export const flag = joi.string().valid('true', 'false');

export function oneOf(...values: string[]): joi.StringSchema {
  return joi.string().valid(...values);
}

export function count(max: number): joi.NumberSchema {
  return joi.number().integer().min(1).max(max);
}

export type Sign = 'positive' | 'not-negative' | 'any';

/** 12 digits before the point are more than any order is worth; the broker keeps nine behind it. */
const DECIMAL = /^-?\d{1,12}(?:\.\d{1,9})?$/;
const SIGNS: Readonly<Record<Sign, string>> = {
  positive: 'greater than zero',
  'not-negative': 'zero or greater',
  any: 'of either sign',
};

/** What the document says of a decimal: the same rules as below, for programs that read it. */
const TEXTS: Readonly<Record<Sign, string>> = {
  positive: '^(?=.*[1-9])\\d{1,12}(\\.\\d{1,9})?$',
  'not-negative': '^\\d{1,12}(\\.\\d{1,9})?$',
  any: '^-?\\d{1,12}(\\.\\d{1,9})?$',
};
const NUMBERS: Readonly<Record<Sign, object>> = {
  positive: { exclusiveMinimum: 0 },
  'not-negative': { minimum: 0 },
  any: {},
};

/** A decimal as text or as a number, kept as the caller wrote it; never converted. */
export function decimal(sign: Sign, description: string): joi.AnySchema {
  const jsonSchema = {
    anyOf: [
      { type: 'string', pattern: TEXTS[sign] },
      { type: 'number', ...NUMBERS[sign] },
    ],
    description: `${description} A decimal ${SIGNS[sign]}, as a string (recommended) or a number.`,
    examples: ['1'],
  };
  return joi
    .any()
    .custom((value: unknown, tools) => {
      if (typeof value !== 'string' && typeof value !== 'number') return tools.error('decimal.base');
      const text = String(value);
      if (!DECIMAL.test(text)) return tools.error('decimal.shape');
      if (sign !== 'any' && text.startsWith('-')) return tools.error('decimal.negative');
      if (sign === 'positive' && !/[1-9]/.test(text)) return tools.error('decimal.zero');
      return value;
    })
    .meta({ jsonSchema });
}

/** Symbols of a batch, in the order asked. A malformed one is the answer's business: it costs only its own entry. */
export const SYMBOLS_MAX = 5_000;

export const symbolsText = joi
  .string()
  .max(SYMBOLS_MAX * 24)
  .description(`Symbols separated by commas, at most ${SYMBOLS_MAX}.`)
  .example('AAPL,MSFT');

export const symbolsList = joi
  .any()
  .custom((value: unknown, tools) => {
    if (!Array.isArray(value)) return tools.error('symbols.base');
    if (value.length === 0 || value.length > SYMBOLS_MAX) return tools.error('symbols.count');
    return value.every((symbol) => typeof symbol === 'string') ? value : tools.error('symbols.item');
  })
  .meta({
    jsonSchema: {
      type: 'array',
      items: { type: 'string' },
      minItems: 1,
      maxItems: SYMBOLS_MAX,
      description: 'Answered in this order; a malformed symbol costs only its own entry.',
      examples: [['AAPL', 'MSFT']],
    },
  });
