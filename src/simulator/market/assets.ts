/** The list of stocks that the venue knows: real tickers first, then SYM0001 and so on. Wire shape of GET /v2/assets. */
import { seedOf, unit, uuidOf } from './seed.js';

/** An asset exactly as the trading host answers it. */
export interface SimAsset {
  readonly id: string;
  readonly class: 'us_equity';
  readonly exchange: string;
  readonly symbol: string;
  readonly name: string;
  readonly status: 'active' | 'inactive';
  readonly tradable: boolean;
  readonly marginable: boolean;
  readonly shortable: boolean;
  readonly easy_to_borrow: boolean;
  readonly borrow_status: 'easy_to_borrow' | 'hard_to_borrow';
  readonly fractionable: boolean;
  readonly maintenance_margin_requirement: number;
  readonly margin_requirement_long: string;
  readonly margin_requirement_short: string;
  readonly attributes: readonly string[];
}

/** Ticker, company, exchange, price around which its walk moves. */
const KNOWN: readonly (readonly [string, string, string, number])[] = [
  ['AAPL', 'Apple Inc. Common Stock', 'NASDAQ', 230],
  ['MSFT', 'Microsoft Corporation Common Stock', 'NASDAQ', 430],
  ['SPY', 'SPDR S&P 500 ETF Trust', 'ARCA', 590],
  ['TSLA', 'Tesla, Inc. Common Stock', 'NASDAQ', 320],
  ['NVDA', 'NVIDIA Corporation Common Stock', 'NASDAQ', 140],
  ['AMZN', 'Amazon.com, Inc. Common Stock', 'NASDAQ', 210],
  ['GOOGL', 'Alphabet Inc. Class A Common Stock', 'NASDAQ', 175],
  ['META', 'Meta Platforms, Inc. Class A Common Stock', 'NASDAQ', 580],
  ['QQQ', 'Invesco QQQ Trust, Series 1', 'NASDAQ', 510],
  ['AMD', 'Advanced Micro Devices, Inc. Common Stock', 'NASDAQ', 140],
  ['BRK.B', 'Berkshire Hathaway Inc. Class B', 'NYSE', 470],
  ['JPM', 'JPMorgan Chase & Co.', 'NYSE', 245],
  ['IWM', 'iShares Russell 2000 ETF', 'ARCA', 235],
  ['F', 'Ford Motor Company', 'NYSE', 11],
  ['T', 'AT&T Inc.', 'NYSE', 23],
];

/** FAKEPACA, the symbol of the test stream, is priced but is not an asset. */
export const TEST_SYMBOL = 'FAKEPACA';

export interface Listing {
  readonly asset: SimAsset;
  readonly basePrice: number;
}

/** `symbols` is how many stocks to list, or their names. */
export function listAssets(symbols: number | readonly string[]): readonly Listing[] {
  const names = typeof symbols === 'number' ? Array.from({ length: symbols }, (_, at) => nameOf(at)) : symbols;
  return names.map(listing);
}

function nameOf(at: number): string {
  return KNOWN[at]?.[0] ?? `SYM${String(at - KNOWN.length + 1).padStart(4, '0')}`;
}

function listing(symbol: string): Listing {
  const known = KNOWN.find(([ticker]) => ticker === symbol);
  const basePrice = known?.[3] ?? Math.round(500 + unit(seedOf(symbol, 7), 1) * 40_000) / 100;
  const shortable = known !== undefined || seedOf(symbol, 8) % 10 !== 0;
  const asset: SimAsset = {
    id: uuidOf(`asset ${symbol}`),
    class: 'us_equity',
    exchange: known?.[2] ?? 'NASDAQ',
    symbol,
    name: known?.[1] ?? `${symbol} Incorporated Common Stock`,
    status: 'active',
    tradable: true,
    marginable: true,
    shortable,
    easy_to_borrow: shortable,
    borrow_status: shortable ? 'easy_to_borrow' : 'hard_to_borrow',
    fractionable: true,
    maintenance_margin_requirement: 30,
    margin_requirement_long: '30',
    margin_requirement_short: shortable ? '30' : '100',
    attributes: known === undefined ? ['fractional_eh_enabled'] : ['has_options', 'fractional_eh_enabled'],
  };
  return { asset, basePrice };
}
