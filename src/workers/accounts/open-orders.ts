/**
 * The broker's list of working orders (docs/broker-wire.md#lists-of-orders) put together from the book. undefined
 * wherever the broker's answer could differ: a filter that reaches the past, a parameter it may refuse, children, an
 * order of two that it decides.
 */
import { textOf, type Mirrored } from './mirrored.js';
import type { OrderBook } from './order-book.js';

const DEFAULT_LIMIT = 50;
const LIMIT_MAX = 500;
/** One value each that is sure to mean here what it means there. With options `symbols` means the underlying. */
const PROVABLE: Readonly<Record<string, RegExp>> = {
  status: /^open$/,
  limit: /^[1-9]\d{0,2}$/,
  direction: /^(?:asc|desc)$/,
  nested: /^false$/,
  symbols: /^[A-Z]{1,5}(?:,[A-Z]{1,5})*$/,
  side: /^(?:buy|sell)$/,
};

/** The list's JSON text, each order in the bytes in which it came. */
export function openOrdersText(book: OrderBook, query: string): string | undefined {
  const asked = new URLSearchParams(query);
  const given = [...asked];
  if (new Set(asked.keys()).size !== given.length) return undefined;
  if (!given.every(([name, value]) => PROVABLE[name]?.test(value) === true)) return undefined;
  const limit = Number(asked.get('limit') ?? DEFAULT_LIMIT);
  const working = book.working();
  if (limit > LIMIT_MAX || !working.every(isSimple)) return undefined;
  const symbols = asked.get('symbols')?.split(',');
  if (symbols !== undefined && !working.every(isStock)) return undefined;
  const side = asked.get('side');
  const chosen = working
    .filter(({ value }) => symbols === undefined || symbols.includes(textOf(value, 'symbol')))
    .filter(({ value }) => side === null || textOf(value, 'side') === side)
    .map((order) => ({ text: order.text, at: instantOf(order) }))
    .sort((a, b) => (a.at < b.at ? 1 : -1));
  if (chosen.some(({ at }, index) => at === '' || at === chosen[index + 1]?.at)) return undefined;
  if (asked.get('direction') === 'asc') chosen.reverse();
  const texts = chosen.slice(0, limit).map(({ text }) => text);
  return `[${texts.join(',')}]`;
}

/** Neither parent nor child of another order. */
export function isSimple({ value }: Mirrored): boolean {
  const orderClass = textOf(value, 'order_class');
  return orderClass === '' || orderClass === 'simple';
}

function isStock({ value }: Mirrored): boolean {
  return textOf(value, 'asset_class') === 'us_equity';
}

/** Compares as text; empty for what is no UTC instant. */
function instantOf({ value }: Mirrored): string {
  const found = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(textOf(value, 'submitted_at'));
  return found === null ? '' : `${found[1] ?? ''}.${(found[2] ?? '').padEnd(9, '0')}`;
}
