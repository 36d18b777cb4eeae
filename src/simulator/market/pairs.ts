/** The crypto pairs that the venue trades, at a price that stands still. `BTC/USD` in orders, `BTCUSD` in positions. */
import { uuidOf } from './seed.js';

export interface SimPair {
  readonly id: string;
  /** With its slash. */
  readonly symbol: string;
  readonly name: string;
  readonly bid: number;
  readonly ask: number;
}

const PAIRS: readonly SimPair[] = [pairOf('BTC/USD', 'Bitcoin', 60_000), pairOf('SOL/USD', 'Solana', 150)];

/** By either spelling, or by id. */
export function findPair(symbolOrId: string): SimPair | undefined {
  const joined = symbolOrId.replace('/', '');
  return PAIRS.find(({ id, symbol }) => id === symbolOrId || symbol.replace('/', '') === joined);
}

/** As GET /v2/assets/{symbol} answers it. */
export function assetOfPair({ id, symbol, name }: SimPair): Readonly<Record<string, unknown>> {
  return {
    ...{ id, class: 'crypto', exchange: 'CRYPTO', symbol, name, status: 'active', tradable: true, marginable: false },
    ...{ shortable: false, easy_to_borrow: false, fractionable: true, maintenance_margin_requirement: 100 },
    ...{ margin_requirement_long: '0', margin_requirement_short: '0', attributes: [] },
    ...{ min_order_size: '0.0001', min_trade_increment: '0.000000001', price_increment: '0.01' },
  };
}

function pairOf(symbol: string, name: string, price: number): SimPair {
  return {
    id: uuidOf(`asset ${symbol}`),
    symbol,
    name: `${name} / US Dollar`,
    bid: price,
    ask: price + price / 10_000,
  };
}
