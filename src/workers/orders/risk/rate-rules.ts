/** How many orders, and how alike. */
import type { RiskRule } from './rule.js';

export const maxOrdersPerMinute: RiskRule = ({ rules, recent }) => {
  const limit = rules.maxOrdersPerMinute;
  if (limit === undefined) return undefined;
  const sent = recent.inLastMinute();
  if (sent < limit) return undefined;
  const detail = 'The account has sent its number of orders for this minute.';
  return { kind: 'denied', rule: 'max_orders_per_minute', detail, numbers: { orders_last_minute: sent, limit } };
};

/** Orders under way count too: the mirror does not show them yet. */
export const maxOpenOrders: RiskRule = ({ rules, mirror, openIntents }) => {
  const limit = rules.maxOpenOrders;
  if (limit === undefined) return undefined;
  const rule = 'max_open_orders';
  if (!mirror.inSync) return { kind: 'uncertain', rule, detail: 'The open orders of the account are not known now.' };
  const open = mirror.openOrders().length + openIntents;
  if (open < limit) return undefined;
  return {
    kind: 'denied',
    rule,
    detail: 'The account has its number of open orders.',
    numbers: { open_orders: open, limit },
  };
};

export const duplicateWindow: RiskRule = ({ rules, recent, fingerprint }) => {
  const windowMs = rules.duplicateWindowMs;
  const sinceMs = recent.sinceAlike(fingerprint);
  if (windowMs === undefined || sinceMs === undefined || sinceMs >= windowMs) return undefined;
  const detail = 'The same order was sent a moment ago.';
  return {
    kind: 'denied',
    rule: 'duplicate_window',
    detail,
    numbers: { since_ms: Math.floor(sinceMs), window_ms: windowMs },
  };
};
