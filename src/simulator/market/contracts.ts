/**
 * Option chains of realistic size: expirations on coming Fridays (daily for very dense chains), strikes around the
 * underlying's price, more of them for near expirations than for far ones. Wire shape of GET /v2/options/contracts.
 */
import { DAY_MS, dateText, isTradingDay } from './new-york.js';
import { seedOf, uuidOf } from './seed.js';

/** A contract exactly as the trading host answers it. */
export interface SimContract {
  readonly id: string;
  /** OCC symbol without padding. */
  readonly symbol: string;
  readonly name: string;
  readonly status: 'active' | 'inactive';
  readonly tradable: boolean;
  readonly expiration_date: string;
  readonly root_symbol: string;
  readonly underlying_symbol: string;
  readonly underlying_asset_id: string;
  readonly type: 'call' | 'put';
  readonly style: 'american';
  readonly strike_price: string;
  readonly multiplier: string;
  readonly size: string;
  readonly open_interest: string | null;
  readonly open_interest_date: string | null;
  readonly close_price: string | null;
  readonly close_price_date: string | null;
}

/** How large one underlying's chain is to be. */
export interface ChainSize {
  readonly underlying: string;
  /** Contracts wanted; the chain has this many give or take a strike per expiration. */
  readonly contracts: number;
  readonly expirations: number;
}

/** About the size of AAPL's chain, about the size of SPY's. */
export const AAPL_CHAIN: ChainSize = { underlying: 'AAPL', contracts: 3_000, expirations: 25 };
export const SPY_CHAIN: ChainSize = { underlying: 'SPY', contracts: 13_000, expirations: 34 };

export interface ContractFilter {
  readonly underlyings?: readonly string[];
  readonly type?: 'call' | 'put';
  readonly root?: string;
  /** Dates are `YYYY-MM-DD`, inclusive. */
  readonly expirationFrom?: string;
  readonly expirationTo?: string;
  readonly strikeFrom?: number;
  readonly strikeTo?: number;
}

/** True when the contract passes every given bound. */
export function matches(contract: SimContract, filter: ContractFilter): boolean {
  const strike = Number(contract.strike_price);
  return (
    (filter.underlyings === undefined || filter.underlyings.includes(contract.underlying_symbol)) &&
    (filter.type === undefined || filter.type === contract.type) &&
    (filter.root === undefined || filter.root === contract.root_symbol) &&
    (filter.expirationFrom === undefined || contract.expiration_date >= filter.expirationFrom) &&
    (filter.expirationTo === undefined || contract.expiration_date <= filter.expirationTo) &&
    (filter.strikeFrom === undefined || strike >= filter.strikeFrom) &&
    (filter.strikeTo === undefined || strike <= filter.strikeTo)
  );
}

/** The chain in the order of its symbols. `today` is a day number. */
export function listContracts(size: ChainSize, assetId: string, spot: number, today: number): readonly SimContract[] {
  const days = expirationDays(size.expirations, today);
  const weights = days.map((_, at) => 1 / Math.sqrt(at + 2));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const contracts: SimContract[] = [];
  for (const [at, day] of days.entries()) {
    const strikes = Math.max(1, Math.round((size.contracts / 2) * ((weights[at] ?? 0) / sum)));
    for (const strike of strikesAround(spot, strikes)) {
      contracts.push(contractOf(size.underlying, assetId, { expiration: dateText(day), type: 'call', strike, today }));
      contracts.push(contractOf(size.underlying, assetId, { expiration: dateText(day), type: 'put', strike, today }));
    }
  }
  return contracts.sort((left, right) => (left.symbol < right.symbol ? -1 : 1));
}

/** The first few trading days, then Fridays weekly, then every fourth Friday. */
function expirationDays(count: number, today: number): readonly number[] {
  const days: number[] = [];
  for (let day = today; days.length < Math.ceil(count / 4); day += 1) if (isTradingDay(day)) days.push(day);
  let friday = today + ((5 - ((today + 4) % 7) + 7) % 7);
  while (days.length < count) {
    if (!days.includes(friday)) days.push(friday);
    friday += days.length < count / 2 ? 7 : 28;
  }
  return days;
}

function strikesAround(spot: number, count: number): readonly number[] {
  const steps = [0.5, 1, 2.5, 5, 10];
  // Wide enough for half to double of the spot, never so narrow that the lowest strike falls to zero.
  const wanted = spot / count;
  const step = [...steps].reverse().find((each) => each <= wanted) ?? 0.5;
  const middle = Math.round(spot / step);
  const lowest = Math.max(1, middle - Math.floor(count / 2));
  return Array.from({ length: count }, (_, at) => (lowest + at) * step);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

interface Terms {
  readonly expiration: string;
  readonly type: 'call' | 'put';
  readonly strike: number;
  readonly today: number;
}

function contractOf(underlying: string, assetId: string, { expiration, type, strike, today }: Terms): SimContract {
  const root = underlying.replace('.', '');
  const [year = '', month = '', day = ''] = expiration.split('-');
  const symbol = `${root}${year.slice(2)}${month}${day}${type === 'call' ? 'C' : 'P'}${String(Math.round(strike * 1000)).padStart(8, '0')}`;
  const interest = seedOf(symbol, 3);
  const before = dateText(lastTradingDay(today));
  const isTraded = interest % 11 !== 0;
  const monthName = MONTHS[Number(month) - 1] ?? month;
  return {
    id: uuidOf(`contract ${symbol}`),
    symbol,
    name: `${underlying} ${monthName} ${day} ${year} ${strike} ${type === 'call' ? 'Call' : 'Put'}`,
    status: 'active',
    tradable: true,
    expiration_date: expiration,
    root_symbol: root,
    underlying_symbol: underlying,
    underlying_asset_id: assetId,
    type,
    style: 'american',
    strike_price: String(strike),
    multiplier: '100',
    size: '100',
    open_interest: isTraded ? String(interest % 5_000) : null,
    open_interest_date: isTraded ? before : null,
    close_price: isTraded ? String(Math.round((interest % 2_000) + 5) / 100) : null,
    close_price_date: isTraded ? before : null,
  };
}

function lastTradingDay(today: number): number {
  let day = today - 1;
  while (!isTradingDay(day)) day -= 1;
  return day;
}

/** Years from an instant to the close of an expiration day; never below an hour, so that nothing divides by zero. */
export function yearsUntil(expiration: string, utcMs: number): number {
  return Math.max(1 / (365 * 24), (Date.parse(`${expiration}T21:00:00Z`) - utcMs) / (365 * DAY_MS));
}
