/**
 * What trades in a worker, as a program of its own (from dist): journal, audit, sessions and desk as production builds
 * them. Takes JSON lines `{ n, accountId, key, order }` on its input and answers each on its output; `{ n, accountId,
 * lookup }` asks for an order by its client order id. Dies where it is told to. Ends when its input does.
 */
import { createInterface } from 'node:readline';
import { silentLog } from '../../dist/kernel/runtime/log.js';
import { silentMeter } from '../../dist/kernel/runtime/meter.js';
import { silentTracer } from '../../dist/kernel/runtime/tracer.js';
import { SystemClock } from '../../dist/kernel/runtime/system-clock.js';
import { Trading } from '../../dist/workers/compose/trading.js';
import { crashPointsFrom } from '../../dist/workers/orders/crash-points.js';

const { slot, epoch, accounts, config, crashAt } = JSON.parse(process.argv[2]);
const clock = new SystemClock();
const die = () => process.kill(process.pid, 'SIGKILL');
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const trading = await Trading.open({
  ...{ config, slot, clock, log: silentLog, meter: silentMeter, tracer: silentTracer },
  ...{ marks: { quote: () => undefined }, fence: { holds: () => true } },
  crash: crashPointsFrom(crashAt, clock, die),
});
const sessions = accounts.map(({ accountId, apiKey, secretKey }) =>
  trading.session({ accountId, epoch, apiKey, secretKey, paperTrading: true }),
);
for (const session of sessions) {
  await trading.desk.adopt(session);
  session.start();
}
await Promise.all(sessions.map(({ tried }) => tried));
tell({ ready: true });

for await (const line of createInterface({ input: process.stdin })) void answer(JSON.parse(line));
for (const { accountId } of accounts) await trading.release(accountId, 1_000);
await trading.close(1_000);
process.exit(0);

async function answer({ n, accountId, key, order, lookup }) {
  if (lookup !== undefined) {
    const held = trading.desk.lookup(accountId, lookup);
    tell({ n, status: held?.status ?? held?.problem.code ?? 404 });
    return;
  }
  const request = { kind: 'submit-order', accountId, assetClass: 'stocks', order, dryRun: false, idempotencyKey: key };
  const context = { requestId: key, subject: 'caller', budgetMs: 10_000 };
  const said = await trading.desk.execute(request, context);
  if (said.kind === 'problem') {
    tell({ n, status: 503, code: said.problem.code, clientOrderId: said.problem.members?.client_order_id });
    return;
  }
  const text = Buffer.from(said.body).toString();
  const isReplay = said.headers['idempotency-replayed'] === 'true';
  tell({ n, status: said.status, text, clientOrderId: JSON.parse(text).client_order_id, isReplay });
}
