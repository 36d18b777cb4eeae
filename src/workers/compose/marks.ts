/** The newest quote of a symbol for the risk rules: a read of the shared table, without a call. */
import type { Mark, MarkSource } from '../orders/ports.js';

export class TableMarks implements MarkSource {
  constructor(private readonly quoteNow: (symbol: string) => Uint8Array | undefined) {}

  quote(symbol: string): Mark | undefined {
    const body = this.quoteNow(symbol);
    if (body === undefined) return undefined;
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
