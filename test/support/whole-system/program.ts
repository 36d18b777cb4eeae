/**
 * A random program for the whole system: what clients ask, what happens at the broker without them, and what breaks.
 * Made from its seed alone, before anything runs, so that a run can be repeated and its history can be printed.
 */
import { aRandom, type Random } from '../random.js';

/** A client's request. `of` names an earlier `place` of the same account by its number. */
export type ClientStep =
  | { readonly kind: 'place'; readonly order: Readonly<Record<string, unknown>>; readonly key: string | undefined }
  | { readonly kind: 'repeat' | 'cancel' | 'cancel-by-client-id' | 'read'; readonly of: number }
  | { readonly kind: 'replace'; readonly of: number; readonly limitPrice: string }
  | { readonly kind: 'close'; readonly symbol: string; readonly percentage: string | undefined }
  | { readonly kind: 'cancel-all' | 'list' };

/** What happens at the broker although the gateway did not ask for it. */
export type OutsideStep =
  | { readonly kind: 'fill' | 'fill-part' | 'cancel' | 'expire'; readonly pick: number }
  | { readonly kind: 'foreign-order' }
  | { readonly kind: 'split'; readonly symbol: string };

export type FaultStep =
  | { readonly kind: 'kill-worker' | 'stop-worker'; readonly slot: number }
  | { readonly kind: 'rolling-restart' | 'drop-streams' | 'account-leaves' | 'account-returns' };

export type Step = { readonly afterMs: number } & (
  | { readonly by: 'client' | 'outside'; readonly account: number; readonly act: ClientStep | OutsideStep }
  | { readonly by: 'fault'; readonly act: FaultStep }
);

export interface Program {
  readonly seed: number;
  readonly steps: readonly Step[];
}

export interface ProgramSize {
  readonly accounts: number;
  readonly steps: number;
  /** Mean pause between two steps. */
  readonly pauseMs: number;
}

const STOCKS = ['AAPL', 'MSFT'];
const PAIR = 'BTC/USD';

export function makeProgram(seed: number, size: ProgramSize): Program {
  const random = aRandom(seed);
  const placed = Array.from({ length: size.accounts }, () => 0);
  const steps: Step[] = [];
  let leaver = false;
  for (let n = 0; n < size.steps; n += 1) {
    const afterMs = random.below(2 * size.pauseMs);
    const account = random.below(size.accounts);
    const chance = random.next();
    if (chance < 0.03) {
      const act = faultStep(random, leaver);
      if (act.kind === 'account-leaves') leaver = true;
      if (act.kind === 'account-returns') leaver = false;
      steps.push({ afterMs, by: 'fault', act });
    } else if (chance < 0.2) {
      steps.push({ afterMs, by: 'outside', account, act: outsideStep(random) });
    } else {
      const act = clientStep(random, { seed, account, placed: placed[account] ?? 0 });
      if (act.kind === 'place') placed[account] = (placed[account] ?? 0) + 1;
      steps.push({ afterMs, by: 'client', account, act });
    }
  }
  return { seed, steps };
}

function faultStep(random: Random, isAway: boolean): FaultStep {
  const choice = random.below(10);
  if (choice < 3) return { kind: 'kill-worker', slot: random.below(2) };
  if (choice < 4) return { kind: 'stop-worker', slot: random.below(2) };
  if (choice < 5) return { kind: 'rolling-restart' };
  if (choice < 7) return { kind: isAway ? 'account-returns' : 'account-leaves' };
  return { kind: 'drop-streams' };
}

function outsideStep(random: Random): OutsideStep {
  const choice = random.below(12);
  const pick = random.below(1_000);
  if (choice < 4) return { kind: 'fill', pick };
  if (choice < 7) return { kind: 'fill-part', pick };
  if (choice < 9) return { kind: 'cancel', pick };
  if (choice < 10) return { kind: 'expire', pick };
  if (choice < 11) return { kind: 'foreign-order' };
  return { kind: 'split', symbol: random.pick(STOCKS) };
}

function clientStep(
  random: Random,
  { seed, account, placed }: { readonly seed: number; readonly account: number; readonly placed: number },
): ClientStep {
  const choice = random.below(20);
  if (placed === 0 || choice < 8) {
    const key = random.next() < 0.8 ? `key-${seed}-${account}-${placed}` : undefined;
    return { kind: 'place', order: anOrder(random, { seed, account, placed }), key };
  }
  // The younger an order, the likelier it still works.
  const of = Math.max(0, placed - 1 - random.below(4));
  if (choice < 9) return { kind: 'repeat', of };
  if (choice < 11) return { kind: 'cancel', of };
  if (choice < 12) return { kind: 'cancel-by-client-id', of };
  if (choice < 14) return { kind: 'replace', of, limitPrice: (2 + random.below(100) / 100).toFixed(2) };
  if (choice < 16) {
    const percentage = random.next() < 0.5 ? String(1 + random.below(100)) : undefined;
    return { kind: 'close', symbol: random.pick([...STOCKS, PAIR]), percentage };
  }
  if (choice < 17) return { kind: 'cancel-all' };
  return random.next() < 0.5 ? { kind: 'list' } : { kind: 'read', of };
}

/** Every order names itself, so that it is found in the broker's book whatever the answer was. */
function anOrder(
  random: Random,
  { seed, account, placed }: { readonly seed: number; readonly account: number; readonly placed: number },
): Readonly<Record<string, unknown>> {
  const own = { client_order_id: `whole-${seed}-${account}-${placed}` };
  const choice = random.below(8);
  if (choice < 4) {
    const limit_price = (1 + (placed % 100) / 100).toFixed(2);
    const qty = String(1 + random.below(5));
    return { ...own, symbol: random.pick(STOCKS), qty, side: 'buy', type: 'limit', limit_price, time_in_force: 'day' };
  }
  if (choice < 6) {
    const qty = String(1 + random.below(3));
    return { ...own, symbol: random.pick(STOCKS), qty, side: 'buy', type: 'market', time_in_force: 'day' };
  }
  if (choice < 7) {
    const qty = (0.01 + random.below(10) / 100).toFixed(2);
    return { ...own, symbol: PAIR, qty, side: 'buy', type: 'market', time_in_force: 'gtc' };
  }
  const bracket = { take_profit: { limit_price: '5000' }, stop_loss: { stop_price: '0.5' } };
  const entry = { qty: '2', side: 'buy', type: 'limit', limit_price: '1.01', time_in_force: 'gtc' };
  return { ...own, ...entry, symbol: 'AAPL', order_class: 'bracket', ...bracket };
}
