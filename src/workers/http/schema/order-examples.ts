/** Order bodies to show in the document. They are examples of shape: nothing here is advice or a default. */

const DAY_LIMIT = { type: 'limit', time_in_force: 'day' } as const;

export const STOCK_ORDER_EXAMPLES: Readonly<Record<string, object>> = {
  limit: { symbol: 'AAPL', qty: '10', side: 'buy', ...DAY_LIMIT, limit_price: '189.50' },
  'market, in dollars': { symbol: 'AAPL', notional: '250.00', side: 'buy', type: 'market', time_in_force: 'day' },
  stop: { symbol: 'AAPL', qty: '10', side: 'sell', type: 'stop', time_in_force: 'gtc', stop_price: '180.00' },
  'trailing stop': {
    symbol: 'AAPL',
    qty: '10',
    side: 'sell',
    type: 'trailing_stop',
    time_in_force: 'gtc',
    trail_percent: '2.5',
  },
  bracket: {
    symbol: 'AAPL',
    qty: '10',
    side: 'buy',
    ...DAY_LIMIT,
    limit_price: '189.50',
    order_class: 'bracket',
    take_profit: { limit_price: '199.00' },
    stop_loss: { stop_price: '184.00', limit_price: '183.50' },
  },
  'one cancels the other': {
    symbol: 'AAPL',
    qty: '10',
    side: 'sell',
    ...DAY_LIMIT,
    order_class: 'oco',
    take_profit: { limit_price: '199.00' },
    stop_loss: { stop_price: '184.00' },
  },
};

export const OPTION_ORDER_EXAMPLES: Readonly<Record<string, object>> = {
  'one contract': { symbol: 'AAPL270115C00200000', qty: '1', side: 'buy', ...DAY_LIMIT, limit_price: '4.20' },
  'vertical spread': {
    qty: '1',
    ...DAY_LIMIT,
    limit_price: '1.35',
    order_class: 'mleg',
    legs: [
      { symbol: 'AAPL270115C00200000', ratio_qty: '1', side: 'buy', position_intent: 'buy_to_open' },
      { symbol: 'AAPL270115C00210000', ratio_qty: '1', side: 'sell', position_intent: 'sell_to_open' },
    ],
  },
};
