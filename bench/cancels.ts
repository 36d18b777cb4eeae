/**
 * Cancels while reads saturate an account's budget: `npm run bench -- cancels [minutes] [limit a minute]`. Told: how
 * long a cancel waited here before it could leave, what the same cancel took beyond the broker's own time, and how
 * often the broker said 429.
 */
import { startSimulator } from '../src/simulator/simulator.js';
import { BrokerAccounts, postOrder, RESTING } from '../test/support/broker-accounts.js';

export const isBenchmark = true;

const minutes = Number(process.argv[2] ?? 2);
const limit = Number(process.argv[3] ?? 200);
/** The broker takes this long over everything. */
const BROKER_MS = 40;
const READERS = 32;
/** Two calls each, of a share of the budget that reads leave alone. */
const CANCELS_A_MINUTE = Math.floor(limit * 0.1);

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

const simulator = await startSimulator({ accounts: 1, requestsPerMinute: limit });
const accounts = new BrokerAccounts(simulator, { pool: { connections: 32 }, budget: { limitPerMinute: limit } });
try {
  const { session } = await accounts.started();
  simulator.control.switchOn({ fault: { kind: 'latency', ms: BROKER_MS } });
  const end = performance.now() + minutes * 60_000;
  const counts = { served: 0, refused: 0 };
  const readers = Array.from({ length: READERS }, async () => {
    while (performance.now() < end) {
      const answer = await session.read({ resource: 'account' }, { fresh: true }, { deadlineMs: 1_000 });
      counts[answer.kind === 'answer' && answer.status === 200 ? 'served' : 'refused'] += 1;
      await pause(20);
    }
  });
  const beyond: number[] = [];
  let failed = 0;
  while (performance.now() < end) {
    const placed = await session.send(postOrder(RESTING, { deadlineMs: 60_000 }));
    if (placed.kind !== 'answered' || placed.status !== 200) {
      failed += 1;
      await pause(500);
      continue;
    }
    const { id } = JSON.parse(Buffer.from(placed.body).toString()) as { readonly id: string };
    const startedAt = performance.now();
    const reply = await session.send({
      method: 'DELETE',
      path: `/v2/orders/${id}`,
      lane: 'cancel',
      deadlineMs: 60_000,
    });
    const tookMs = performance.now() - startedAt;
    if (reply.kind === 'answered' && reply.status === 204) beyond.push(tookMs - reply.upstreamMs);
    else failed += 1;
    await pause(60_000 / CANCELS_A_MINUTE);
  }
  await Promise.all(readers);
  beyond.sort((a, b) => a - b);
  const at = (share: number): string => (beyond[Math.floor(share * (beyond.length - 1))] ?? Number.NaN).toFixed(2);
  const { rateLimited } = simulator.control.counters();
  console.log(`method: ${minutes} min, ${limit} requests a minute, ${READERS} readers, broker ${BROKER_MS} ms`);
  console.log(`reads: ${counts.served} served, ${counts.refused} refused here; 429 by the broker: ${rateLimited}`);
  console.log(
    `cancels: ${beyond.length}, failed ${failed}; beyond the broker's own time, ms: p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1)}`,
  );
  if (rateLimited > 0 || failed > 0) process.exitCode = 1;
} finally {
  await accounts.close();
  await simulator.close();
}
