/**
 * The Meter bound to prom-client, made from the catalogue. Miscounting must never break what is counted: a name or label
 * that was not declared is counted as misuse instead of thrown into an order's way.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Labels, Meter } from '../runtime/meter.js';
import type { MetricDeclaration } from './metric.js';
import type { MetricFamily } from './metric-sum.js';

const MISUSE = 'opitios_meter_misuse_total';

export interface MeterOptions {
  /** Heap, event loop and processor of this process too. */
  readonly processMetrics: boolean;
}

export class PromMeter implements Meter {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #misuse: Counter;

  constructor(declarations: readonly MetricDeclaration[], options: MeterOptions) {
    for (const declaration of declarations) this.#declare(declaration);
    this.#misuse = new Counter({
      name: MISUSE,
      help: 'Counts that named no declared metric or label',
      registers: [this.#registry],
    });
    if (options.processMetrics) collectDefaultMetrics({ register: this.#registry, prefix: 'opitios_' });
  }

  count(name: string, labels: Labels = {}, by = 1): void {
    this.#guard(() => {
      const counter = this.#counters.get(name);
      if (counter === undefined) return false;
      counter.inc(labels, by);
      return true;
    });
  }

  gauge(name: string, value: number, labels: Labels = {}): void {
    this.#guard(() => {
      const gauge = this.#gauges.get(name);
      if (gauge === undefined) return false;
      gauge.set(labels, value);
      return true;
    });
  }

  observe(name: string, value: number, labels: Labels = {}): void {
    this.#guard(() => {
      const histogram = this.#histograms.get(name);
      if (histogram === undefined) return false;
      histogram.observe(labels, value);
      return true;
    });
  }

  /** Everything counted so far as plain data, for the primary to add up. */
  async snapshot(): Promise<readonly MetricFamily[]> {
    const families = (await this.#registry.getMetricsAsJSON()) as unknown as readonly PromFamily[];
    return families.map(({ name, help, type, values }) => ({
      name,
      help,
      kind: type,
      samples: values.map((sample) => ({
        name: sample.metricName ?? name,
        labels: Object.fromEntries(Object.entries(sample.labels).map(([label, value]) => [label, String(value)])),
        value: sample.value,
      })),
    }));
  }

  #guard(act: () => boolean): void {
    let done = false;
    try {
      done = act();
    } catch {
      // prom-client throws on labels that were not declared: counted below.
    }
    if (!done) this.#misuse.inc();
  }

  #declare({ name, kind, help, labels, buckets }: MetricDeclaration): void {
    const shared = { name, help, labelNames: [...labels], registers: [this.#registry] };
    switch (kind) {
      case 'counter':
        this.#counters.set(name, new Counter(shared));
        return;
      case 'gauge':
        this.#gauges.set(name, new Gauge(shared));
        return;
      case 'histogram':
        this.#histograms.set(
          name,
          new Histogram(buckets === undefined ? shared : { ...shared, buckets: [...buckets] }),
        );
    }
  }
}

interface PromFamily {
  readonly name: string;
  readonly help: string;
  readonly type: MetricFamily['kind'];
  readonly values: readonly {
    readonly value: number;
    readonly metricName?: string;
    readonly labels: Readonly<Record<string, string | number>>;
  }[];
}
