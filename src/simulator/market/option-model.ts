/** A plausible option price with its greeks (Black and Scholes, European, no dividend). Plausible is all it wants to be. */

export interface Greeks {
  readonly delta: number;
  readonly gamma: number;
  readonly rho: number;
  readonly theta: number;
  readonly vega: number;
}

export interface Valuation {
  /** Unrounded fair value in dollars per share. */
  readonly value: number;
  readonly impliedVolatility: number;
  readonly greeks: Greeks;
}

const RATE = 0.04;

/** `years` to expiry must be above zero. */
export function valueOption(type: 'call' | 'put', spot: number, strike: number, years: number): Valuation {
  const moneyness = Math.log(strike / spot);
  const volatility = Math.min(3, 0.24 + 0.35 * moneyness * moneyness + Math.max(0, -moneyness) * 0.12);
  const root = Math.sqrt(years);
  const d1 = (-moneyness + (RATE + (volatility * volatility) / 2) * years) / (volatility * root);
  const d2 = d1 - volatility * root;
  const sign = type === 'call' ? 1 : -1;
  const present = strike * Math.exp(-RATE * years);
  const density = Math.exp((-d1 * d1) / 2) / Math.sqrt(2 * Math.PI);
  const far = normal(sign * d2);
  return {
    value: Math.max(0, sign * (spot * normal(sign * d1) - present * far)),
    impliedVolatility: volatility,
    greeks: {
      delta: sign * normal(sign * d1),
      gamma: density / (spot * volatility * root),
      rho: (sign * present * years * far) / 100,
      theta: ((-spot * density * volatility) / (2 * root) - sign * RATE * present * far) / 365,
      vega: (spot * density * root) / 100,
    },
  };
}

/** Cumulative normal distribution, Abramowitz and Stegun 26.2.17 (error below 1e-7). */
function normal(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * poly;
  return x >= 0 ? 1 - tail : tail;
}
