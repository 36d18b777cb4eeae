/** Which switches are on, and which of them a request or a stream meets. Counts and chances are consumed here. */
import type { StreamFaults } from '../doors.js';
import type { SeededRandom } from '../venue/seeded-random.js';
import type { ActiveSwitch, RequestFault, StreamFault, Switch } from './fault.js';

interface Entry {
  readonly id: number;
  readonly spec: Switch;
  readonly pattern: RegExp | undefined;
  readonly accounts: ReadonlySet<string> | undefined;
  seen: number;
  fired: number;
}

export interface Target {
  readonly accountId: string | undefined;
  readonly method: string;
  readonly path: string;
  /** How many requests with this client_order_id have arrived, this one included; 0 when it has none. */
  readonly attempt: number;
}

export class FaultTable implements StreamFaults {
  readonly #random: SeededRandom;
  readonly #listeners = new Set<() => void>();
  #entries: Entry[] = [];
  #lastId = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Answers the switch's id. */
  on(spec: Switch): number {
    this.#lastId += 1;
    const accounts = spec.accounts === undefined ? undefined : new Set(spec.accounts);
    this.#entries.push({ id: this.#lastId, spec, pattern: patternOf(spec.path), accounts, seen: 0, fired: 0 });
    this.#changed();
    return this.#lastId;
  }

  /** One switch, or all of them. Answers how many went off. */
  off(id?: number): number {
    const before = this.#entries.length;
    this.#entries = id === undefined ? [] : this.#entries.filter((entry) => entry.id !== id);
    this.#changed();
    return before - this.#entries.length;
  }

  list(): readonly ActiveSwitch[] {
    return this.#entries.map(({ id, spec, fired }) => ({ ...spec, id, fired }));
  }

  /** Called when switches went on or off, so that held events can go out. */
  onChange(listen: () => void): void {
    this.#listeners.add(listen);
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** The faults of one request, in the order in which they were switched on. */
  forRequest(target: Target): readonly RequestFault[] {
    if (this.#entries.length === 0) return [];
    const faults: RequestFault[] = [];
    for (const entry of [...this.#entries]) {
      const { fault } = entry.spec;
      if (!isStreamFault(fault) && this.#fires(entry, target)) faults.push(fault);
    }
    return faults;
  }

  /** True while a switch of this kind stands for the stream. Draws chances, so ask once per event. */
  stream(kind: StreamFault['kind'], feed: string, accountId: string | undefined): StreamFault | undefined {
    for (const entry of [...this.#entries]) {
      const { fault } = entry.spec;
      if (fault.kind !== kind || !isStreamFault(fault)) continue;
      if (this.#fires(entry, { accountId, method: 'GET', path: `/${feed}`, attempt: 0 })) return fault;
    }
    return undefined;
  }

  isMuted(feed: string, accountId: string | undefined): boolean {
    return this.stream('stream-mute', feed, accountId) !== undefined;
  }

  onAuthenticate(feed: string, accountId: string | undefined): 'normal' | 'never' | 'unauthorized' | 'close' {
    const fault = this.stream('stream-auth', feed, accountId);
    return fault?.kind === 'stream-auth' ? fault.answer : 'normal';
  }

  onUpgrade(feed: string): number | undefined {
    const fault = this.stream('stream-refuse', feed, undefined);
    return fault?.kind === 'stream-refuse' ? fault.status : undefined;
  }

  #fires(entry: Entry, target: Target): boolean {
    const { spec } = entry;
    if (!matches(entry, target)) return false;
    entry.seen += 1;
    if (entry.seen <= (spec.skip ?? 0)) return false;
    if (spec.probability !== undefined && !this.#random.chance(spec.probability)) return false;
    entry.fired += 1;
    if (spec.count !== undefined && entry.fired >= spec.count) {
      this.#entries = this.#entries.filter((other) => other !== entry);
      this.#changed();
    }
    return true;
  }

  #changed(): void {
    for (const listen of this.#listeners) listen();
  }
}

function matches({ spec, pattern, accounts }: Entry, target: Target): boolean {
  if (accounts !== undefined && (target.accountId === undefined || !accounts.has(target.accountId))) return false;
  if (spec.method !== undefined && spec.method !== target.method) return false;
  if (spec.attemptFrom !== undefined && target.attempt < spec.attemptFrom) return false;
  return pattern === undefined || pattern.test(target.path);
}

function patternOf(path: string | undefined): RegExp | undefined {
  if (path === undefined) return undefined;
  if (path.startsWith('re:')) return new RegExp(path.slice(3));
  const literal = path.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  return new RegExp(`^${literal}$`);
}

function isStreamFault(fault: Switch['fault']): fault is StreamFault {
  return fault.kind.startsWith('stream-');
}
