/** The newest quote of a symbol for the risk rules: a read of the shared table, and where it has none a fetch. */
import type { MarketDataAnswer, MarketDataDoor } from '../market-data/market-data-door.js';
import type { Mark, MarkSource } from '../orders/ports.js';

const FETCH_BUDGET_MS = 5_000;

export class TableMarks implements MarkSource {
  constructor(private readonly marketData: MarketDataDoor) {}

  quote(symbol: string): Mark | undefined {
    return this.#markOf(this.marketData.quoteNow(symbol));
  }

  /** As any caller's read: single flight, within the master's budget. The master's plan has no quotes of pairs here. */
  async fetch(symbol: string, assetClass: 'us_equity' | 'us_option' | 'crypto'): Promise<Mark | undefined> {
    if (assetClass === 'crypto') return undefined;
    const kind = assetClass === 'us_option' ? 'option-quote' : 'stock-quote';
    const context = { requestId: 'risk', subject: 'system', budgetMs: FETCH_BUDGET_MS };
    return this.#markOf(await this.marketData.execute({ kind, symbol }, context));
  }

  #markOf(answer: MarketDataAnswer | undefined): Mark | undefined {
    if (answer?.kind !== 'answer') return undefined;
    const { body } = answer;
    const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
    const bidPrice = numberText(text, 'bid_price');
    const askPrice = numberText(text, 'ask_price');
    const ageMs = numberText(text, 'age_ms');
    if (bidPrice === undefined || askPrice === undefined || ageMs === undefined) return undefined;
    return { bidPrice, askPrice, ageMs: Number(ageMs) };
  }
}

/** The digits as the broker sent them: a price is never turned into a float. */
function numberText(json: string, name: string): string | undefined {
  return new RegExp(`"${name}":"?(\\d+(?:\\.\\d+)?)`).exec(json)?.[1];
}
