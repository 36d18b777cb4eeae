/** One question to the broker: does this key work? Used before keys are stored and by the doctor; places nothing. */
import type { GatewayConfig } from '../kernel/config/gateway-config.js';

export interface BrokerAnswer {
  readonly verdict: 'good' | 'refused' | 'unreachable';
  /** Continues "the broker …". */
  readonly detail: string;
  /** Milliseconds that our clock is ahead of the broker's `Date` header (whole seconds), where it sent one. */
  readonly clockAheadMs?: number;
}

const DEADLINE_MS = 10_000;

export async function askBroker(
  config: GatewayConfig,
  keys: { readonly apiKey: string; readonly secretKey: string; readonly paperTrading: boolean },
): Promise<BrokerAnswer> {
  const { tradingPaper, tradingLive } = config.alpaca.endpoints;
  let response: Response;
  try {
    response = await fetch(`${keys.paperTrading ? tradingPaper : tradingLive}/v2/account`, {
      redirect: 'error',
      signal: AbortSignal.timeout(DEADLINE_MS),
      headers: { 'APCA-API-KEY-ID': keys.apiKey, 'APCA-API-SECRET-KEY': keys.secretKey },
    });
    await response.arrayBuffer();
  } catch {
    return { verdict: 'unreachable', detail: 'could not be reached' };
  }
  const sentAt = Date.parse(response.headers.get('date') ?? '');
  const clock = Number.isNaN(sentAt) ? {} : { clockAheadMs: Date.now() - sentAt };
  if (response.ok) return { verdict: 'good', detail: 'takes the key', ...clock };
  if (response.status === 401 || response.status === 403)
    return { verdict: 'refused', detail: `refuses the key (${response.status})`, ...clock };
  return { verdict: 'unreachable', detail: `answered ${response.status}`, ...clock };
}
