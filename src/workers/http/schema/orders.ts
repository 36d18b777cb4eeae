/**
 * Order bodies in Alpaca's field names (docs/broker-wire.md#orders). A field that the chosen type cannot do without is
 * shape and is asked for here; every rule of the market is left to the broker, which changes them without telling us.
 */
import joi from 'joi';
import { clientOrderId, decimal, oneOf, optionSymbol, tradedSymbol } from './fields.js';

const side = oneOf('buy', 'sell');
const type = oneOf('market', 'limit', 'stop', 'stop_limit', 'trailing_stop');
const timeInForce = oneOf('day', 'gtc', 'opg', 'cls', 'ioc', 'fok');
const positionIntent = oneOf('buy_to_open', 'buy_to_close', 'sell_to_open', 'sell_to_close');
const stockClass = joi.string().valid('', 'simple', 'bracket', 'oco', 'oto');

const qty = decimal('positive', 'Shares or contracts; fractions where the broker takes them.');
const notional = decimal('positive', 'Dollars instead of a quantity.');
const price = decimal('not-negative', 'Dollars.');
/** A multi-leg limit may be a credit, which Alpaca writes as a negative price. */
const signedPrice = decimal('any', 'Dollars; of a multi-leg order negative for a credit.');

const STOPS = oneOf('stop', 'stop_limit');
const LIMITS = oneOf('limit', 'stop_limit');

/** An OCO's limit may stand in its take_profit alone. */
const limitPrice = price.when('type', {
  is: LIMITS.required(),
  then: joi.when('order_class', { is: joi.valid('oco').required(), otherwise: joi.required() }),
});

const common = {
  type: type.required(),
  time_in_force: timeInForce.required(),
  client_order_id: clientOrderId.description('Yours; made and returned when absent.'),
  position_intent: positionIntent,
  extended_hours: joi.boolean().description('Takes part in the sessions before and after the market.'),
  stop_price: price.when('type', { is: STOPS.required(), then: joi.required() }),
  trail_price: decimal('positive', 'Dollars behind the best price.'),
  trail_percent: decimal('positive', 'Percent behind the best price.'),
  advanced_instructions: joi.object().unknown(true).description("Alpaca's routing options, passed on as they are."),
};

export const stockOrder = joi
  .object({
    symbol: tradedSymbol.required(),
    qty,
    notional,
    side: side.required(),
    ...common,
    limit_price: limitPrice,
    order_class: stockClass,
    take_profit: joi.object({ limit_price: price.required() }),
    stop_loss: joi.object({ stop_price: price.required(), limit_price: price }),
  })
  .xor('qty', 'notional')
  .oxor('trail_price', 'trail_percent')
  .when(joi.object({ type: joi.valid('trailing_stop').required() }).unknown(true), {
    then: joi.object().or('trail_price', 'trail_percent'),
  })
  .label('StockOrder');

const leg = joi.object({
  symbol: optionSymbol.required(),
  ratio_qty: decimal('positive', 'Contracts of this leg in one unit of the order.').required(),
  side,
  position_intent: positionIntent,
});

const isMultiLeg = joi.valid('mleg').required();

export const optionOrder = joi
  .object({
    symbol: optionSymbol.when('order_class', { is: isMultiLeg, then: joi.forbidden(), otherwise: joi.required() }),
    qty: qty.required(),
    side: side.when('order_class', { is: isMultiLeg, then: joi.optional(), otherwise: joi.required() }),
    ...common,
    limit_price: signedPrice.when('type', { is: LIMITS.required(), then: joi.required() }),
    order_class: joi.string().valid('', 'simple', 'mleg'),
    legs: joi
      .array()
      .items(leg)
      .min(1)
      .max(4)
      .when('order_class', { is: isMultiLeg, then: joi.required(), otherwise: joi.forbidden() }),
  })
  .oxor('trail_price', 'trail_percent')
  .label('OptionOrder');

export const orderChanges = joi
  .object({
    qty,
    notional,
    time_in_force: timeInForce,
    limit_price: signedPrice,
    stop_price: price,
    trail: decimal('positive', 'New trail, in the unit of the order.'),
    client_order_id: clientOrderId.description('Of the order that replaces this one.'),
    advanced_instructions: joi.object().unknown(true),
  })
  .min(1)
  .oxor('qty', 'notional')
  .label('OrderChanges');
