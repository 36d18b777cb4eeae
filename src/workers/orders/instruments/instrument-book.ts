/**
 * The instruments of a worker by every name that was asked for. A symbol speaks for itself; of an id or an adjusted
 * contract the broker is asked once, however many orders wait for it, and the answer is kept.
 */
import type { AccountSession } from '../../accounts/account-session.js';
import { isRecord, readJson } from '../core/order-match.js';
import {
  instrumentOfBroker,
  instrumentOfSymbol,
  isInstrumentId,
  type Instrument,
} from '../../../kernel/domain/instrument.js';

export type Resolved =
  | { readonly kind: 'instrument'; readonly instrument: Instrument }
  /** The broker knows nothing of this name. */
  | { readonly kind: 'unknown' }
  /** The broker could not be asked. */
  | { readonly kind: 'unavailable' };

const KEPT_MAX = 10_000;
const READ_DEADLINE_MS = 5_000;

export class InstrumentBook {
  readonly #byName = new Map<string, Instrument>();
  readonly #underWay = new Map<string, Promise<Resolved>>();

  /** Without asking: undefined where only `resolve` can say. */
  known(name: string): Instrument | undefined {
    return instrumentOfSymbol(name) ?? this.#byName.get(nameKey(name));
  }

  async resolve(name: string, session: AccountSession): Promise<Resolved> {
    const instrument = this.known(name);
    if (instrument !== undefined) return { kind: 'instrument', instrument };
    const key = nameKey(name);
    let asking = this.#underWay.get(key);
    if (asking === undefined) {
      asking = this.#ask(name, session).finally(() => this.#underWay.delete(key));
      this.#underWay.set(key, asking);
    }
    return asking;
  }

  async #ask(name: string, session: AccountSession): Promise<Resolved> {
    const encoded = encodeURIComponent(name);
    const contract = `/v2/options/contracts/${encoded}`;
    // An id names an asset or a contract; a symbol that does not speak for itself is a contract.
    const paths = isInstrumentId(name) ? [`/v2/assets/${encoded}`, contract] : [contract];
    for (const path of paths) {
      const reply = await session.send({ method: 'GET', path, lane: 'lookup', deadlineMs: READ_DEADLINE_MS });
      const said = reply.kind === 'answered' ? readJson(reply.body) : undefined;
      if (reply.kind !== 'answered' || !isRecord(said)) return { kind: 'unavailable' };
      if (reply.status === 404 || reply.status === 422) continue;
      const instrument = reply.status === 200 ? instrumentOfBroker(said) : undefined;
      if (instrument === undefined) return { kind: 'unavailable' };
      this.#keep(name, instrument);
      return { kind: 'instrument', instrument };
    }
    return { kind: 'unknown' };
  }

  #keep(name: string, instrument: Instrument): void {
    this.#byName.set(nameKey(name), instrument);
    // Orders and positions of the broker name it by its symbol.
    this.#byName.set(nameKey(instrument.symbol), instrument);
    if (this.#byName.size <= KEPT_MAX) return;
    const [oldest] = this.#byName.keys();
    if (oldest !== undefined) this.#byName.delete(oldest);
  }
}

function nameKey(name: string): string {
  return isInstrumentId(name) ? name.toLowerCase().replaceAll('-', '') : name.toUpperCase();
}
