/** How many orders, and how alike. */
import type { RiskRule } from './rule.js';

export const maxOrdersPerMinute: RiskRule = ({ rules, recent }) => {
  const limit = rules.maxOrdersPerMinute;
  if (limit === undefined) return undefined;
  const value = recent.inLastMinute();
  if (value < limit) return undefined;
  const detail = 'The account has sent its number of orders for this minute.';
  return { kind: 'denied', rule: 'max_orders_per_minute', detail, numbers: { value, limit } };
};

/** Orders under way and without an outcome count too. */
export const maxOpenOrders: RiskRule = ({ rules, exposure }) => {
  const limit = rules.maxOpenOrders;
  if (limit === undefined) return undefined;
  const rule = 'max_open_orders';
  const detail = 'The open orders of the account are not known now.';
  if (!exposure.isKnown) return { kind: 'uncertain', rule, reason: 'risk', detail };
  const value = exposure.openOrders();
  if (value < limit) return undefined;
  return { kind: 'denied', rule, detail: 'The account has its number of open orders.', numbers: { value, limit } };
};

export const duplicateWindow: RiskRule = ({ rules, recent, likeness }) => {
  const windowMs = rules.duplicateWindowMs;
  const sinceMs = recent.sinceAlike(likeness);
  if (windowMs === undefined || sinceMs === undefined || sinceMs >= windowMs) return undefined;
  const numbers = { value: Math.floor(sinceMs), limit: windowMs };
  return { kind: 'denied', rule: 'duplicate_window', detail: 'The same order was sent a moment ago.', numbers };
};
