import { afterEach, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../support/free-port.js';
import { eventually, startGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { percentiles, tell } from '../../support/order-load.js';
import { Pm2 } from '../../support/pm2-process.js';

const LONG = process.env['OPITIOS_LONG'] === '1';
const KILLS = Number(process.env['OPITIOS_KILLS'] ?? (LONG ? 50 : 1));
const ACCOUNTS = LONG ? 1_000 : 3;
/** The kernel kills the workers together with the primary; this is the time it may take on a busy machine. */
const ORPHANS_GONE_MS = 200;

let gateway: GatewayProcess | undefined;
let pm2: Pm2 | undefined;
afterEach(async () => {
  await pm2?.close();
  await gateway?.stop();
}, 60_000);

/** A zombie whose parent has not yet looked is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

test('kill -9 of the primary ends its workers, a stopped one and one that starts among them', async () => {
  gateway = await startGateway({ accounts: 3 });
  const { workers } = await gateway.pool();
  const pids = workers.map(({ pid }) => pid);
  process.kill(pids[0] ?? 0, 'SIGSTOP');
  process.kill(pids[1] ?? 0, 'SIGKILL');
  gateway.primary.kill('SIGKILL');

  await eventually(() => !pids.some(isAlive), 'no worker is left');
}, 90_000);

if (LONG)
  test(`${KILLS} kills of the primary under PM2 with ${ACCOUNTS} accounts, every other with a stalled worker: no orphan, and it trades again`, async () => {
    const [port, adminPort] = [await freePort(), await freePort()];
    gateway = await startGateway({
      accounts: ACCOUNTS,
      workers: 2,
      simulator: ['--rate', '100000'],
      config: {
        server: { port },
        admin: { port: adminPort },
        secrets: { allow_plain_text: true },
        cluster: { warm_spare: true },
        alpaca: { rate_limit_per_minute: 100_000 },
      },
    });
    const running = gateway;
    const first = running.primary;
    const ended = new Promise((resolve) => first.once('exit', resolve));
    first.kill('SIGTERM');
    await ended;
    // Its back-off forgets a restart after half a minute; kills that come sooner would each wait longer than the last.
    pm2 = new Pm2(running.configFile, { EXP_BACKOFF_RESET_TIMER: '5000', PM2_WORKER_INTERVAL: '1000' });
    await pm2.start();

    const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day' };
    const orphans: number[] = [];
    const tradingMs: number[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      await eventually(async () => (await running.pool()).ready, 'the gateway is ready', 60_000);
      const primary = await pm2.pid();
      const pids = (await running.pool()).workers.map(({ pid }) => pid);
      if (kill % 2 === 1) process.kill(pids[0] ?? 0, 'SIGSTOP');
      const killedAt = performance.now();
      process.kill(primary, 'SIGKILL');
      await sleep(ORPHANS_GONE_MS);
      orphans.push(pids.filter(isAlive).length);
      const accounts = [0, 1, 2].map((n) => running.accountIds[(kill * 37 + n * 331) % ACCOUNTS] ?? '');
      await Promise.all(
        accounts.map((accountId) =>
          eventually(
            async () =>
              (await running
                .post(`/accounts/${accountId}/orders/stocks`, order, { 'idempotency-key': `p-${kill}` })
                .then((response) => response.status)
                .catch(() => 0)) === 201,
            'an account trades',
            60_000,
          ),
        ),
      );
      tradingMs.push(performance.now() - killedAt);
    }
    tell(
      `${KILLS} kills of the primary under PM2, ${ACCOUNTS} accounts: trading again ${percentiles(tradingMs)}, ` +
        `worst ${Math.round(Math.max(...tradingMs))} ms; orphans after ${ORPHANS_GONE_MS} ms: ${orphans.reduce((a, b) => a + b, 0)}`,
    );

    expect(orphans).toEqual(orphans.map(() => 0));
  }, 3_600_000);
