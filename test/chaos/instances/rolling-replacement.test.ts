/**
 * Instances behind nginx are replaced one after the other, as an upgrade does it, under reads, orders, cancels and
 * open streams. The clients know one address; nginx repeats only what the shipped configuration lets it repeat.
 */
import { afterEach, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, restartGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { startInstances, type Instances } from '../../support/instances.js';
import { KeepAliveClients } from '../../support/keep-alive-clients.js';
import { hasNginx, startNginx, type NginxProcess } from '../../support/nginx-process.js';
import { OrderLoad, percentiles, tell } from '../../support/order-load.js';
import { breaksInOrder, openReaders, untoldAtLast, type OrderStreamReader } from '../../support/order-stream-reader.js';
import { hasRedis } from '../../support/redis-process.js';
import { readOnKeptConnections } from '../../support/steady-requests.js';

const LONG = process.env['OPITIOS_LONG'] === '1';
const ROUNDS = Number(process.env['OPITIOS_ROUNDS'] ?? 1);
const drill = hasRedis() && hasNginx() ? test : test.skip;
/** Between the requests of one client: the drill is about replacing, not about load that no machine bears. */
const PAUSE_MS = 20;
const NAMES = LONG ? ['alpha', 'beta', 'gamma'] : ['alpha', 'beta'];
/** In turn; each drains, hands over and comes back in the same way, so that every day has one of them. */
const REPLACED = LONG ? NAMES : ['alpha'];

let instances: Instances | undefined;
let nginx: NginxProcess | undefined;
const clients = new KeepAliveClients();
const readers: OrderStreamReader[] = [];
afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close();
  await clients.close();
  await nginx?.stop();
  await instances?.stop();
}, 60_000);

async function replaceMs(all: Instances, name: string): Promise<number> {
  const at = performance.now();
  const old = all.named(name);
  const ended = new Promise((resolve) => old.primary.once('exit', resolve));
  old.primary.kill('SIGTERM');
  await ended;
  all.replace(name, await restartGateway(old));
  await eventually(async () => {
    const pools = await Promise.all(NAMES.map((one) => all.named(one).pool()));
    const held = pools.flatMap(({ accounts }) => accounts.filter(({ state }) => state === 'ready'));
    return (
      held.length === old.accountIds.length && pools.every(({ leases }) => leases?.members.length === NAMES.length)
    );
  }, 'all accounts are held by the living');
  return performance.now() - at;
}

/** Places and cancels, one after the other. Returns what was answered otherwise than by 201 and 204. */
async function cancelling(url: string, gateway: GatewayProcess, isDone: () => boolean): Promise<readonly string[]> {
  const headers = { authorization: `Bearer ${await gateway.token()}`, 'content-type': 'application/json' };
  const failed: string[] = [];
  for (let turn = 0; !isDone(); turn += 1) {
    const path = `${url}/api/v1/accounts/${gateway.accountIds[turn % gateway.accountIds.length] ?? ''}/orders`;
    const order = { symbol: 'MSFT', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: '2.00' };
    const placed = await fetch(`${path}/stocks`, {
      ...{ method: 'POST', body: JSON.stringify(order) },
      headers: { ...headers, 'idempotency-key': randomUUID() },
    });
    const text = await placed.text();
    if (placed.status !== 201) failed.push(`POST ${placed.status} ${text}`);
    else {
      const { id } = JSON.parse(text) as { readonly id: string };
      const canceled = await fetch(`${path}/${id}`, { method: 'DELETE', headers });
      const why = await canceled.text();
      if (canceled.status !== 204) failed.push(`DELETE ${canceled.status} ${why}`);
    }
    await sleep(PAUSE_MS);
  }
  return failed;
}

drill(
  'instances are replaced one after the other under load: no request fails and no order event is lost',
  async () => {
    const all = await startInstances(NAMES, {
      accounts: 30,
      keepsPorts: true,
      simulator: ['--rate', '100000'],
      config: {
        server: { trust_proxy: ['127.0.0.1/32'] },
        alpaca: { rate_limit_per_minute: 100_000 },
        secrets: { allow_plain_text: true },
      },
    });
    instances = all;
    nginx = await startNginx(all.gateways.map(({ url }) => Number(new URL(url).port)));
    const first = all.named('alpha');
    const door: GatewayProcess = { ...first, url: `http://127.0.0.1:${nginx.port}` };
    await openReaders(readers, door);
    const reads = await readOnKeptConnections(door, clients, { callers: 4, pauseMs: PAUSE_MS });
    let isDone = false;
    const canceling = cancelling(door.url, door, () => isDone);
    const load = await OrderLoad.on(door);
    load.pauseMs = PAUSE_MS;
    load.start(2);
    const tookMs: number[] = [];
    const replacedAt: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1)
      for (const name of REPLACED) {
        replacedAt.push(new Date().toISOString());
        tookMs.push(await replaceMs(all, name));
        tell(
          `${name}: ${Math.round(tookMs.at(-1) ?? 0)} ms; ${reads.answers()} reads so far, failed ${reads.failed.length}`,
        );
      }
    isDone = true;
    await reads.stop();
    const notCanceled = await canceling;
    await load.settle();
    const verdict = await load.judge();
    const notFirst = load.orders.filter(({ answers }) => answers[0] !== '201');
    const untold = await untoldAtLast(door, readers);
    const lost = untold.map(({ length }) => length);
    for (const order of untold.flat())
      tell(
        `untold: ${order['account_id']} ${order['status']} created ${String(order['created_at'])}, replaced ${replacedAt.join(' ')}`,
      );
    const breaks = readers.flatMap((reader) => breaksInOrder(reader.events, reader.gaps));
    const gaps = readers.reduce((sum, reader) => sum + reader.gaps.length, 0);
    tell(
      `${tookMs.length} instances replaced behind nginx, each ${percentiles(tookMs)}: ${reads.answers()} reads, failed ${reads.failed.length}; ` +
        `${verdict.orders} orders, not taken at once ${notFirst.length}, lost ${verdict.lost.length}, doubled ${verdict.duplicates.length}; ` +
        `orders and cancels failed ${notCanceled.length}; order events untold ${lost.join('/')}, breaks ${breaks.length}, gaps ${gaps}; ` +
        `sockets closed ${readers.map(({ closes }) => closes.join(',')).join('/')}`,
    );

    expect(reads.failed.slice(0, 20)).toEqual([]);
    expect(notFirst.map(({ answers }) => answers.join(' '))).toEqual([]);
    expect(notCanceled).toEqual([]);
    expect([verdict.lost, verdict.duplicates, verdict.lies]).toEqual([[], [], []]);
    expect([lost, breaks, gaps]).toEqual([[0, 0], [], 0]);
  },
  900_000,
);
