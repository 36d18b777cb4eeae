/** Reads the market data host's JSON without losing what a double cannot hold. */
import { isRecord, type BrokerRecord } from '../kernel/shared-memory/record-text.js';
import { wholePage, type Page } from './tasks.js';

/** Trade ids are unsigned 64-bit; beyond 2^53 JSON.parse would round them, so they become text first. */
const LONG_TRADE_ID = /"i":(\d{16,})/g;

export function parsePage(page: Page): BrokerRecord {
  const text = wholePage(page).toString('utf8');
  const value: unknown = JSON.parse(text.replaceAll(LONG_TRADE_ID, '"i":"$1"'));
  return isRecord(value) ? value : {};
}

/** A member that maps symbols to something; empty when the broker sent null or nothing. */
export function mapIn(page: BrokerRecord, name: string): readonly (readonly [string, unknown])[] {
  const member = page[name];
  return isRecord(member) ? Object.entries(member) : [];
}

export function recordsIn(value: unknown): readonly BrokerRecord[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

/** null and the empty text both mean that there is no further page. */
export function nextPageToken(page: BrokerRecord): string | undefined {
  const token = page['next_page_token'];
  return typeof token === 'string' && token !== '' ? token : undefined;
}
