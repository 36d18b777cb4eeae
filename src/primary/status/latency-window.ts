/**
 * How long requests took in the last minute, by the part that took it: from the sums that the workers' histograms have
 * anyway. Quantiles are read off their buckets, so they are as coarse as those.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { MetricFamily } from '../../kernel/telemetry/metric-sum.js';

export const LATENCY_PARTS = ['total', 'queue', 'gateway', 'mesh', 'upstream'] as const;
export type LatencyPart = (typeof LATENCY_PARTS)[number];

export interface PartSummary {
  readonly part: LatencyPart;
  readonly requests: number;
  /** Milliseconds; null without a request. */
  readonly p50_ms: number | null;
  readonly p99_ms: number | null;
}

interface Counted {
  readonly at: number;
  /** By part: cumulative count at each upper bound in seconds, ascending. */
  readonly parts: ReadonlyMap<string, ReadonlyMap<number, number>>;
}

const WINDOW_MS = 60_000;
const KEPT_MAX = 120;

export class LatencyWindow {
  readonly #kept: Counted[] = [];

  constructor(private readonly clock: Clock) {}

  /** @param family `opitios_http_request_seconds` of all processes */
  note(family: MetricFamily | undefined): void {
    const now = this.clock.monotonicMs();
    const parts = new Map<string, Map<number, number>>();
    for (const { name, labels, value } of family?.samples ?? []) {
      const { part = '', le } = labels;
      if (le === undefined || !name.endsWith('_bucket')) continue;
      const counts = parts.get(part) ?? new Map<number, number>();
      parts.set(part, counts);
      const bound = le === '+Inf' ? Infinity : Number(le);
      counts.set(bound, (counts.get(bound) ?? 0) + value);
    }
    this.#kept.push({ at: now, parts });
    // One older than the window stays: it is what the window begins with.
    while ((this.#kept[1]?.at ?? now) <= now - WINDOW_MS || this.#kept.length > KEPT_MAX) this.#kept.shift();
  }

  summary(): { readonly window_s: number; readonly parts: readonly PartSummary[] } {
    const [first] = this.#kept;
    const last = this.#kept.at(-1);
    if (first === undefined || last === undefined) return { window_s: 0, parts: [] };
    const parts = LATENCY_PARTS.map((part) => {
      const before = first.parts.get(part);
      const grown = [...(last.parts.get(part) ?? [])]
        .map(([bound, count]): [number, number] => [bound, count - (before?.get(bound) ?? 0)])
        .sort(([a], [b]) => a - b);
      const requests = grown.at(-1)?.[1] ?? 0;
      return { part, requests, p50_ms: quantileMs(grown, 0.5), p99_ms: quantileMs(grown, 0.99) };
    });
    return { window_s: Math.round((last.at - first.at) / 1_000), parts };
  }
}

/** Within a bucket the requests are taken to lie evenly, as Prometheus does. */
function quantileMs(buckets: readonly (readonly [bound: number, count: number])[], share: number): number | null {
  const wanted = (buckets.at(-1)?.[1] ?? 0) * share;
  if (wanted === 0) return null;
  let [lower, below] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= wanted) {
      const at = bound === Infinity ? lower : lower + ((bound - lower) * (wanted - below)) / (count - below);
      return Math.round(at * 100_000) / 100;
    }
    [lower, below] = [bound, count];
  }
  return null;
}
