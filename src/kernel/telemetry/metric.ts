/** How a metric is declared. Each area of the program declares its own in `catalogue/`; docs and registry are made from that. */
export interface MetricDeclaration {
  /** Starts with `opitios_` and ends in its unit. */
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** From closed sets: never an account, a symbol or an order id. */
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}
