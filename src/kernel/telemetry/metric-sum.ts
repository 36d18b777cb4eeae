/**
 * Adds up what all processes of an instance counted. Pure: it is told who lives. What a dead worker had counted stays in
 * the sum, because a counter that falls looks like a restart and every rate over it is wrong.
 */
export interface MetricSample {
  /** The family's name, or that with `_bucket`, `_sum`, `_count`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly samples: readonly MetricSample[];
}

/** A process whose numbers are added; the primary itself is `'primary'`. */
export interface MetricSource {
  readonly slot: number | 'primary';
  readonly pid: number;
}

/** Adding heaps or event-loop delays of processes means nothing: these carry the worker's slot. */
const PER_PROCESS = /^opitios_(?:process|nodejs)_/;

/** One process that refuses is what must be seen: added up, the others would hide it. */
const LEAST: ReadonlySet<string> = new Set(['opitios_audit_healthy']);

interface Live {
  readonly pid: number;
  readonly families: readonly MetricFamily[];
}

export class MetricSum {
  readonly #live = new Map<number | 'primary', Live>();
  #retired: readonly MetricFamily[] = [];

  /** Replaces what this process said before. Another pid in the slot means that the one before is gone. */
  update({ slot, pid }: MetricSource, families: readonly MetricFamily[]): void {
    const before = this.#live.get(slot);
    if (before !== undefined && before.pid !== pid) this.retire(slot);
    this.#live.set(slot, { pid, families });
  }

  /** The process is gone: its gauges go with it, its counts stay. */
  retire(slot: number | 'primary'): void {
    const gone = this.#live.get(slot);
    if (gone === undefined) return;
    this.#live.delete(slot);
    const kept = gone.families.filter(
      ({ name, kind }) => kind !== 'gauge' && kind !== 'summary' && !PER_PROCESS.test(name),
    );
    this.#retired = add([this.#retired, kept]);
  }

  families(): readonly MetricFamily[] {
    const live = [...this.#live].map(([slot, { families }]) =>
      families.map((family) => labelled(family, String(slot))),
    );
    return add([this.#retired, ...live]);
  }

  /** Prometheus text exposition format 0.0.4. */
  text(): string {
    return exposition(this.families());
  }
}

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function exposition(families: readonly MetricFamily[]): string {
  const lines = families.flatMap(({ name, help, kind, samples }) => [
    `# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`,
    `# TYPE ${name} ${kind}`,
    ...samples.map((sample) => `${sample.name}${showLabels(sample.labels)} ${showValue(sample.value)}`),
  ]);
  return `${lines.join('\n')}\n`;
}

function add(groups: readonly (readonly MetricFamily[])[]): readonly MetricFamily[] {
  const sums = new Map<string, { family: MetricFamily; samples: Map<string, MetricSample> }>();
  for (const family of groups.flat()) {
    const sum = sums.get(family.name) ?? { family, samples: new Map<string, MetricSample>() };
    sums.set(family.name, sum);
    for (const sample of family.samples) {
      const key = sample.name + showLabels(sample.labels);
      const before = sum.samples.get(key)?.value;
      const value = before === undefined ? sample.value : combined(family.name, before, sample.value);
      sum.samples.set(key, { ...sample, value });
    }
  }
  return [...sums.values()]
    .map(({ family, samples }) => ({ ...family, samples: [...samples.values()] }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function combined(name: string, before: number, value: number): number {
  return LEAST.has(name) ? Math.min(before, value) : before + value;
}

function labelled(family: MetricFamily, worker: string): MetricFamily {
  if (!PER_PROCESS.test(family.name)) return family;
  return { ...family, samples: family.samples.map((sample) => ({ ...sample, labels: { ...sample.labels, worker } })) };
}

function showLabels(labels: Readonly<Record<string, string>>): string {
  const shown = Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}="${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`);
  return shown.length === 0 ? '' : `{${shown.join(',')}}`;
}

function showValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? '+Inf' : '-Inf';
}
