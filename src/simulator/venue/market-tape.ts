/** The market as the order side sees it: dollars become exact numbers here, wire flags become claims. */
import type { MarketView } from '../market/market.js';
import { findPair, type SimPair } from '../market/pairs.js';
import { nanoOf, parseNano } from './decimal.js';
import type { Instrument, Tape } from './tape.js';

export function tapeOf(market: MarketView): Tape {
  // Instruments never change while the simulator runs, and every order asks for one.
  const known = new Map<string, Instrument>();
  return {
    instrument(symbolOrId) {
      const remembered = known.get(symbolOrId);
      if (remembered !== undefined) return remembered;
      const found = readInstrument(market, symbolOrId);
      if (found !== undefined) known.set(symbolOrId, found);
      return found;
    },
    quote(symbol) {
      const pair = findPair(symbol);
      if (pair !== undefined) return { bid: nanoOf(pair.bid), ask: nanoOf(pair.ask) };
      const quote = market.quote(symbol);
      return quote === undefined ? undefined : { bid: nanoOf(quote.bid), ask: nanoOf(quote.ask) };
    },
    last(symbol) {
      const pair = findPair(symbol);
      if (pair !== undefined) return nanoOf(pair.bid);
      const last = market.last(symbol);
      return last === undefined ? undefined : nanoOf(last);
    },
    onTick: (listen) => market.onTick(listen),
  };
}

function readInstrument(market: MarketView, symbolOrId: string): Instrument | undefined {
  const pair = findPair(symbolOrId);
  if (pair !== undefined) return instrumentOfPair(pair);
  const asset = market.asset(symbolOrId);
  if (asset !== undefined) {
    return {
      id: asset.id,
      symbol: asset.symbol,
      assetClass: asset.class,
      exchange: asset.exchange,
      isActive: asset.status === 'active',
      isTradable: asset.tradable,
      isShortable: asset.shortable,
      isFractionable: asset.fractionable,
      isMarginable: asset.marginable,
      multiplier: 1n,
      option: undefined,
    };
  }
  const contract = market.contract(symbolOrId);
  if (contract === undefined) return undefined;
  return {
    id: contract.id,
    symbol: contract.symbol,
    assetClass: 'us_option',
    exchange: '',
    isActive: contract.status === 'active',
    isTradable: contract.tradable,
    isShortable: true,
    isFractionable: false,
    isMarginable: false,
    multiplier: BigInt(contract.multiplier),
    option: {
      underlying: contract.underlying_symbol,
      right: contract.type,
      strike: parseNano(contract.strike_price) ?? 0n,
      expiration: contract.expiration_date,
      style: contract.style,
    },
  };
}

function instrumentOfPair({ id, symbol }: SimPair): Instrument {
  const claims = { isActive: true, isTradable: true, isShortable: false, isFractionable: true, isMarginable: false };
  return { id, symbol, assetClass: 'crypto', exchange: 'CRYPTO', ...claims, multiplier: 1n, option: undefined };
}
