/** What happens in one program: requests of callers, acts of the broker without a request, takeovers. From its seed alone. */
import type { RiskRules } from '../../../src/kernel/config/gateway-config.js';
import { SeededRandom } from '../seeded-random.js';
import { INSTRUMENTS, type BookFaults } from './book-broker.js';

export type Act =
  | { readonly kind: 'submit'; readonly order: Readonly<Record<string, unknown>>; readonly key: string | undefined }
  | {
      readonly kind: 'close';
      readonly name: string;
      readonly percentage: string | undefined;
      readonly qty: string | undefined;
      readonly key: string | undefined;
    }
  | { readonly kind: 'close-all'; readonly cancelOrders: boolean }
  | { readonly kind: 'cancel' | 'repeat'; readonly of: number }
  | {
      readonly kind: 'replace';
      readonly of: number;
      readonly qty: string | undefined;
      readonly limitPrice: string | undefined;
      /** Sent under the client order id of an order that another program made, and with its limit. */
      readonly idOf: number | undefined;
    }
  | { readonly kind: 'outside-fill' | 'outside-cancel' | 'outside-expire'; readonly pick: number }
  | { readonly kind: 'outside-buy'; readonly symbol: string; readonly qty: number }
  | { readonly kind: 'outside-order'; readonly symbol: string }
  | { readonly kind: 'split'; readonly symbol: string }
  | { readonly kind: 'takeover' }
  | { readonly kind: 'reducing' | 'active' };

interface Step {
  readonly atMs: number;
  readonly act: Act;
}

export interface ExposureProgram {
  readonly seed: number;
  readonly rules: RiskRules;
  readonly faults: BookFaults;
  readonly held: Readonly<Record<string, number>>;
  /** The namespace of derived ids has changed: keys are looked up under the one before. */
  readonly looksUpFormer: boolean;
  readonly steps: readonly Step[];
}

const STEPS = 28;
const LENGTH_MS = 30_000;

export function exposureProgram(seed: number): ExposureProgram {
  const random = new SeededRandom(seed);
  const some = (chance: number, most: number): number => (random.chance(chance) ? random.between(0, most) : 0);
  const faults: BookFaults = {
    ...{
      requestLoss: some(0.5, 0.15),
      answerLoss: some(0.6, 0.3),
      lateArrival: some(0.5, 1),
      connectFailure: some(0.3, 0.1),
    },
    ...{
      eventLoss: some(0.5, 0.3),
      eventTwice: some(0.5, 0.3),
      refusedCarriedOut: some(0.4, 0.4),
      keysRefused: some(0.3, 0.03),
    },
    ...{ eventDelayMs: some(0.8, 400), readLagMs: some(0.7, 2_000) },
  };
  const rules: RiskRules = {
    ...(random.chance(0.7) && { noShort: true }),
    ...(random.chance(0.3) && { maxOpenOrders: 3 }),
    ...(random.chance(0.4) && { maxOrderNotional: '1500' }),
    ...(random.chance(0.2) && { maxOrderQty: '8' }),
    ...(random.chance(0.3) && { maxOrdersPerMinute: 6 }),
    ...(random.chance(0.2) && { duplicateWindowMs: 5_000 }),
    ...(random.chance(0.3) && { denySymbols: ['msft'] }),
  };
  const held = Object.fromEntries(
    INSTRUMENTS.filter(() => random.chance(0.8)).map(({ symbol }) => [symbol, 1 + Math.floor(random.between(0, 12))]),
  );
  const looksUpFormer = random.chance(0.4);
  const places = { count: 0 };
  const steps: Step[] = [];
  // Bursts: several requests within a few milliseconds find what one after the other does not.
  let atMs = 200;
  for (let n = 0; n < STEPS; n += 1) {
    atMs += random.chance(0.5) ? random.between(0, 30) : random.between(0, (2 * LENGTH_MS) / STEPS);
    const act = anAct(random, seed, places);
    steps.push({ atMs, act });
    // What a close was computed from may be sold while its key is looked up.
    if (!looksUpFormer || act.kind !== 'close' || act.key === undefined || random.chance(0.5)) continue;
    places.count += 1;
    const qty = String(1 + Math.floor(random.between(0, 10)));
    const order = { symbol: act.name, side: 'sell', qty, time_in_force: 'day', type: 'market' };
    steps.push({ atMs: atMs + random.between(1, 150), act: { kind: 'submit', order, key: undefined } });
  }
  steps.sort((a, b) => a.atMs - b.atMs);
  return { seed, rules, faults, held, looksUpFormer, steps };
}

function anAct(random: SeededRandom, seed: number, places: { count: number }): Act {
  const of = Math.max(0, places.count - 1 - Math.floor(random.between(0, 4)));
  const choice = random.next();
  if (choice < 0.4 || places.count === 0) {
    places.count += 1;
    return {
      kind: 'submit',
      order: anOrder(random),
      key: random.chance(0.6) ? `key-${seed}-${places.count}` : undefined,
    };
  }
  if (choice < 0.6) return aClose(random);
  if (choice < 0.63) return { kind: 'close-all', cancelOrders: random.chance(0.5) };
  if (choice < 0.68) return { kind: 'cancel', of };
  if (choice < 0.72) return { kind: 'repeat', of };
  if (choice < 0.8) {
    const isQty = random.chance(0.5);
    const qty = isQty ? String(1 + Math.floor(random.between(0, 10))) : undefined;
    return {
      kind: 'replace',
      of,
      qty,
      limitPrice: isQty ? undefined : String(100 + Math.floor(random.between(0, 200))),
      idOf: random.chance(0.4) ? Math.floor(random.between(0, 100)) : undefined,
    };
  }
  const pick = Math.floor(random.between(0, 100));
  if (choice < 0.87) return { kind: 'outside-fill', pick };
  if (choice < 0.9) return { kind: random.chance(0.5) ? 'outside-cancel' : 'outside-expire', pick };
  if (choice < 0.93) return { kind: 'outside-buy', symbol: random.pick(INSTRUMENTS).symbol, qty: 1 + (pick % 5) };
  if (choice < 0.94) return { kind: 'outside-order', symbol: random.pick(INSTRUMENTS).symbol };
  if (choice < 0.95) return { kind: 'split', symbol: random.pick(['AAPL', 'MSFT']) };
  if (choice < 0.98) return { kind: 'takeover' };
  return { kind: random.chance(0.4) ? 'reducing' : 'active' };
}

function aName(random: SeededRandom): string {
  const { symbol, assetId } = random.pick(INSTRUMENTS);
  const joined = symbol.replace('/', '');
  return random.pick([symbol, symbol, symbol, joined, joined.toLowerCase(), assetId]);
}

function anOrder(random: SeededRandom): Readonly<Record<string, unknown>> {
  const symbol = aName(random);
  const side = random.chance(0.6) ? 'sell' : 'buy';
  const qty = String(1 + Math.floor(random.between(0, 10)));
  const common = { symbol, side, qty, time_in_force: 'day' };
  const choice = random.next();
  if (choice < 0.3) return { ...common, type: 'market' };
  if (choice < 0.75) {
    // A sell limit of a cent is filled at the bid; a buy limit far below the market rests.
    return {
      ...common,
      type: 'limit',
      limit_price: side === 'sell' ? random.pick(['0.01', '300']) : random.pick(['1', '250']),
    };
  }
  if (choice < 0.85 && side === 'sell') {
    const exits = { take_profit: { limit_price: '300' }, stop_loss: { stop_price: '1' } };
    return { ...common, type: 'limit', limit_price: '300', order_class: 'oco', ...exits };
  }
  if (choice < 0.92) return { ...common, type: 'stop', stop_price: side === 'sell' ? '1' : '400' };
  return { ...common, qty: undefined, notional: '200', type: 'market' };
}

function aClose(random: SeededRandom): Act {
  const name = aName(random);
  const choice = random.next();
  const key = random.chance(0.5) ? `close-${String(random.next())}` : undefined;
  const whole = { kind: 'close', name, percentage: undefined, qty: undefined, key } as const;
  if (choice < 0.5) return whole;
  if (choice < 0.8) return { ...whole, percentage: String(1 + Math.floor(random.between(0, 100))) };
  return { ...whole, qty: String(1 + Math.floor(random.between(0, 8))) };
}
