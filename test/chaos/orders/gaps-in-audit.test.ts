/**
 * F13, I8 of docs/order-protocol.md: the trade stream of a whole desk drops while orders fill. Every execution is in
 * the audit trail once, and a gap is closed soon after the stream went. `npm run chaos -- gaps-in-audit` runs 500 gaps.
 */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAudit } from '../../../src/kernel/audit/read.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { aDeskOn, type DeskOnSimulator } from '../../support/desk-on-simulator.js';
import { eventually } from '../../support/eventually.js';
import { fillMark, GapFlow, markOf } from '../../support/gap-flow.js';
import { percentiles, tell } from '../../support/order-load.js';
import { aRandom } from '../../support/random.js';
import { aSimulator } from '../../support/simulator.js';

const GAPS = Number(process.env['OPITIOS_GAPS'] ?? (process.env['OPITIOS_LONG'] === '1' ? 500 : 8));
const SEED = Number(process.env['OPITIOS_SEED'] ?? Date.now() % 1_000_000);
/** As workers are composed. */
const BACK_OFF_MS = { min: 200, max: 15_000 };

let simulator: Simulator;
let dataDir: string;
let desk: DeskOnSimulator;
beforeEach(async () => {
  simulator = await aSimulator({ behaviour: { fills: 'manual' }, startingCash: '100000000' });
  dataDir = mkdtempSync(join(tmpdir(), 'opitios-gaps-'));
  desk = await aDeskOn(simulator, { dataDir, backOffMs: BACK_OFF_MS });
});
afterEach(async () => {
  await desk.close();
  await simulator.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const executions = (): readonly string[] =>
  simulator.control.executions(desk.accountId).map(({ orderId, cumQty }) => markOf(orderId, cumQty));

async function audited(): Promise<{ readonly ids: readonly string[]; readonly reconciled: number }> {
  const ids: string[] = [];
  let reconciled = 0;
  for await (const { facts } of readAudit(join(dataDir, 'audit'), { kinds: ['fill'] })) {
    ids.push(markOf(String(facts['order_id']), String(facts['cum_qty'])));
    if (facts['reconciled'] === true) reconciled += 1;
  }
  return { ids, reconciled };
}

test(
  `the audit trail has every execution once over ${GAPS} gaps of the stream`,
  async () => {
    const random = aRandom(SEED);
    const flow = new GapFlow(simulator, 0, random);
    const told = new Set<unknown>();
    desk.desk.onOrderEvent(({ data }) =>
      told.add(fillMark({ data, order: (JSON.parse(data) as { readonly order: Record<string, unknown> }).order })),
    );
    let losses = 0;
    desk.session.onState((state) => (losses += state === 'degraded' ? 1 : 0));
    const isWhole = (): boolean => desk.session.state() === 'ready' && executions().every((id) => told.has(id));
    const closedMs: number[] = [];
    for (let gap = 0; gap < GAPS; gap += 1) {
      await flow.act(random.below(4));
      await flow.haveOpenOrder();
      const droppedAt = performance.now();
      simulator.control.dropStreams([desk.accountId], random.below(2) === 0);
      // At once, or when the session knows; trading goes on while the stream is away and while it comes back.
      if (random.below(2) === 0) await eventually('the session noticed', () => losses > gap);
      flow.fillOpenOrder();
      await flow.act(random.below(4));
      await eventually('the session noticed', () => losses > gap);
      await eventually('the gap is closed', isWhole, 30_000);
      closedMs.push(performance.now() - droppedAt);
    }
    await desk.close();

    const { ids, reconciled } = await audited();
    const wrong = {
      missing: executions().filter((id) => !ids.includes(id)),
      twice: ids.filter((id, at) => ids.indexOf(id) !== at),
      invented: ids.filter((id) => !executions().includes(id)),
    };
    tell(
      `stream gaps, seed ${SEED}: ${GAPS} gaps, ${ids.length} executions in the audit trail (${reconciled} found in gaps), ` +
        `${wrong.missing.length} missing, ${wrong.twice.length} twice; closed in ${percentiles(closedMs)}, ` +
        `worst ${Math.round(Math.max(...closedMs))} ms after the drop`,
    );
    expect({ seed: SEED, ...wrong }).toEqual({ seed: SEED, missing: [], twice: [], invented: [] });
    expect(reconciled).toBeGreaterThanOrEqual(GAPS);
  },
  60_000 + GAPS * 5_000,
);
