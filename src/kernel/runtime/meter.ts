/**
 * Metrics as their users see them, so that no layer below telemetry knows prom-client. Names are declared once in
 * kernel/telemetry/catalogue.ts; labels come from closed sets: never an account, a symbol or an order id.
 */
export type Labels = Readonly<Record<string, string>>;

export interface Meter {
  /** Adds to a counter. */
  count(name: string, labels?: Labels, by?: number): void;
  /** Sets a gauge. */
  gauge(name: string, value: number, labels?: Labels): void;
  /** Observes a histogram, in the unit that its name ends in. */
  observe(name: string, value: number, labels?: Labels): void;
}

export const silentMeter: Meter = { count: () => undefined, gauge: () => undefined, observe: () => undefined };
