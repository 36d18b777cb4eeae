/** A worker kills itself at each crash point under order load; the broker's book is held against what callers heard. */
import { expect, test } from '@jest/globals';
import { eventually, startGateway } from '../../support/gateway-process.js';
import { OrderLoad, tell } from '../../support/order-load.js';
import { aRandom } from '../../support/random.js';

const IS_LONG = process.env['OPITIOS_LONG'] === '1';
/** Through a whole gateway a kill costs seconds: the short version keeps to one point, desk.test.ts has them all. */
const POINTS = IS_LONG ? ['K0', 'K1', 'K2', 'K3', 'K4', 'K5', 'K6'] : ['K3'];
const KILLS = Number(process.env['OPITIOS_KILLS'] ?? (IS_LONG ? 100 : 2));
/** Then a fresh gateway with another n: the pool waits longer and longer before it replaces workers that die young. */
const KILLS_A_GATEWAY = 6;
const SEED = Number(process.env['OPITIOS_SEED'] ?? Date.now() % 1_000_000);

/** Every worker of one gateway, replacements too, dies at its own n-th order. */
async function killsAt(point: string, nth: number, wanted: number): Promise<number> {
  const gateway = await startGateway({
    ...{ accounts: 6, workers: 2, environment: { GW_CRASH_AT: `${point}:${nth}` } },
    simulator: ['--rate', '100000', '--fills', 'manual', '--cash', '100000000'],
    config: { orders: { ambiguous: 'resubmit_same_id', answer_deadline_ms: 1_000 } },
  });
  try {
    const load = await OrderLoad.on(gateway);
    const kills = (): number => gateway.output().split('"msg":"worker ended"').length - 1;
    load.start(6);
    await eventually(() => kills() >= wanted, `${wanted} kills at ${point}:${nth}`, 120_000);
    await load.settle();
    const replays = await load.replayAll();
    const { duplicates, lost, lies, ...figures } = await load.judge();
    const ended = kills();
    tell(`crash ${point}:${nth} seed ${SEED}: ${ended} kills, ${JSON.stringify(figures)}`);
    expect({ duplicates, lost, lies }).toEqual({ duplicates: [], lost: [], lies: [] });
    // A worker may die again while keys are asked once more; its connections break, its answers stay right.
    expect(replays.filter((line) => !/ 0 $/.test(line))).toEqual([]);
    expect(figures.atBroker).toBeGreaterThan(0);
    return ended;
  } finally {
    await gateway.stop();
  }
}

test.each(POINTS)(
  'workers that die at %s duplicate no order, lose none and tell no caller otherwise',
  async (point) => {
    const random = aRandom(SEED + Number(point.slice(1)));
    for (let kills = 0; kills < KILLS;)
      kills += await killsAt(point, 8 + random.below(IS_LONG ? 30 : 8), Math.min(KILLS_A_GATEWAY, KILLS - kills));
  },
  IS_LONG ? 3_600_000 : 300_000,
);
