/**
 * The seeded price walk of one symbol and its one-minute bars. The price at an instant is a pure function of
 * (seed, symbol, instant): layered smooth noise from one minute to several months. Nothing is stored.
 */
import { MINUTE_MS } from './new-york.js';
import { mix, unit } from './seed.js';

/** One bar as on the wire, without its time text. `pv` is the exact sum of price times volume, kept for aggregation. */
export interface Bar {
  /** Start of the interval, UTC milliseconds. */
  readonly at: number;
  readonly o: number;
  readonly h: number;
  readonly l: number;
  readonly c: number;
  readonly v: number;
  readonly n: number;
  readonly pv: number;
}

/** Period in minutes and amplitude in log price of each layer. */
const LAYERS: readonly (readonly [number, number])[] = [
  [1, 0.0004],
  [5, 0.0009],
  [23, 0.002],
  [97, 0.004],
  [390, 0.009],
  [1950, 0.02],
  [9750, 0.05],
  [58500, 0.12],
  [292500, 0.2],
];

/** To the cent; below a dollar to a hundredth of a cent, as the exchanges quote. */
export function toTick(price: number): number {
  return price >= 1 ? Math.round(price * 100) / 100 : Math.max(0.0001, Math.round(price * 10_000) / 10_000);
}

export class PriceWalk {
  constructor(
    readonly seed: number,
    readonly base: number,
  ) {}

  /** Unrounded price at an instant. */
  priceAt(utcMs: number): number {
    const minute = utcMs / MINUTE_MS;
    let log = 0;
    for (let layer = 0; layer < LAYERS.length; layer += 1) {
      const [period, amplitude] = LAYERS[layer] ?? [1, 0];
      const place = minute / period;
      const whole = Math.floor(place);
      const part = place - whole;
      const from = unit(this.seed + layer, whole);
      const to = unit(this.seed + layer, whole + 1);
      log += amplitude * (2 * (from + (to - from) * part * part * (3 - 2 * part)) - 1);
    }
    return this.base * Math.exp(log);
  }

  /** The bar of the minute that begins at `minuteStart`. */
  minuteBar(minuteStart: number): Bar {
    const minute = Math.floor(minuteStart / MINUTE_MS);
    const open = toTick(this.priceAt(minuteStart));
    const close = toTick(this.priceAt(minuteStart + MINUTE_MS));
    const spread = this.base * 0.0006;
    const high = toTick(Math.max(open, close) + spread * unit(this.seed ^ 0x51, minute));
    const low = toTick(Math.min(open, close) - spread * unit(this.seed ^ 0x52, minute));
    const volume = 100 + (mix(this.seed ^ 0x53, minute) % 20_000);
    const average = (open + close + high + low) / 4;
    return {
      at: minute * MINUTE_MS,
      o: open,
      h: Math.max(high, open, close),
      l: Math.min(low, open, close),
      c: close,
      v: volume,
      n: 1 + Math.floor(volume / 60),
      pv: average * volume,
    };
  }
}
