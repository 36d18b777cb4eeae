/**
 * An option chain from pages of snapshots: each contract once, with what its symbol says spelled out, ordered by
 * expiration, calls before puts, strike. Greeks and implied volatility are present when the broker sent them.
 */
import { isRecord, num, type BrokerRecord } from '../kernel/shared-memory/record-text.js';
import { mapIn, parsePage } from './alpaca-json.js';
import { finishedBody } from './finished-body.js';
import { parseOccSymbol, type OccSymbol } from './occ-symbol.js';
import type { BodyResult, ChainTask } from './tasks.js';

interface Contract {
  readonly occ: OccSymbol;
  readonly symbol: string;
  readonly order: string;
  readonly text: string;
}

export function mergeChain(task: ChainTask): BodyResult {
  const contracts = new Map<string, Contract>();
  for (const bytes of task.pages) {
    for (const [symbol, snapshot] of mapIn(parsePage(bytes), 'snapshots')) {
      const occ = parseOccSymbol(symbol);
      // A symbol that is no option's cannot be placed in a chain.
      if (occ === undefined || !isRecord(snapshot)) continue;
      contracts.set(symbol, { symbol, occ, order: orderOf(symbol, occ), text: contractText(symbol, occ, snapshot) });
    }
  }
  const sorted = [...contracts.values()].sort((a, b) => (a.order < b.order ? -1 : 1));
  const text =
    `{"underlying_symbol":${JSON.stringify(task.underlying)},` +
    (task.grouped ? `"expirations":[${grouped(sorted)}]` : `"contracts":[${list(sorted)}]`) +
    `,"count":${String(sorted.length)},"source":"${task.origin.source}","feed":"${task.origin.feed}"}`;
  return { ...finishedBody(text, sorted.length), expirations: countByExpiration(sorted) };
}

function contractText(symbol: string, occ: OccSymbol, snapshot: BrokerRecord): string {
  const quote = isRecord(snapshot['latestQuote']) ? snapshot['latestQuote'] : undefined;
  const trade = isRecord(snapshot['latestTrade']) ? snapshot['latestTrade'] : undefined;
  const greeks = isRecord(snapshot['greeks']) ? snapshot['greeks'] : undefined;
  const volatility = snapshot['impliedVolatility'];
  return (
    `{"symbol":"${symbol}","expiration_date":"${occ.expirationDate}","type":"${occ.type}"` +
    `,"strike_price":${occ.strikePrice},"bid_price":${num(quote?.['bp'])},"ask_price":${num(quote?.['ap'])}` +
    `,"bid_size":${num(quote?.['bs'])},"ask_size":${num(quote?.['as'])},"last_price":${num(trade?.['p'])}` +
    (typeof volatility === 'number' ? `,"implied_volatility":${num(volatility)}` : '') +
    (greeks === undefined ? '' : `,"greeks":${JSON.stringify(greeks)}`) +
    `,"timestamp":${JSON.stringify(quote?.['t'] ?? trade?.['t'] ?? null)}}`
  );
}

/** Expiration, then calls, then strike: the symbol's own tail has them in this order. Adjusted roots come after. */
function orderOf(symbol: string, occ: OccSymbol): string {
  return symbol.slice(occ.root.length) + occ.root;
}

function grouped(sorted: readonly Contract[]): string {
  const groups: string[] = [];
  for (const [date, contracts] of byExpiration(sorted)) {
    const calls = contracts.filter((contract) => contract.occ.type === 'call');
    const puts = contracts.filter((contract) => contract.occ.type === 'put');
    groups.push(`{"expiration_date":"${date}","calls":[${list(calls)}],"puts":[${list(puts)}]}`);
  }
  return groups.join(',');
}

function countByExpiration(sorted: readonly Contract[]): Record<string, number> {
  return Object.fromEntries([...byExpiration(sorted)].map(([date, contracts]) => [date, contracts.length]));
}

function byExpiration(sorted: readonly Contract[]): ReadonlyMap<string, Contract[]> {
  const groups = new Map<string, Contract[]>();
  for (const contract of sorted) {
    const group = groups.get(contract.occ.expirationDate);
    if (group === undefined) groups.set(contract.occ.expirationDate, [contract]);
    else group.push(contract);
  }
  return groups;
}

function list(contracts: readonly Contract[]): string {
  return contracts.map((contract) => contract.text).join(',');
}
