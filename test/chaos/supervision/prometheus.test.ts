import { afterEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../support/free-port.js';
import { eventually, startGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { tell } from '../../support/order-load.js';
import { hasPrometheus, PrometheusProcess } from '../../support/prometheus-process.js';

const LONG = process.env['OPITIOS_LONG'] === '1';
const DEATHS = 10;
const WORKERS = 4;
/** A worker that dies young counts as one of a loop; with four in turn each lives for longer than that. */
const BETWEEN_MS = 5_000;
const CALLERS = 8;
const COUNTED = 'sum(opitios_http_requests_total{route="/api/v1/accounts/{account_id}/account",status="200"})';

let gateway: GatewayProcess | undefined;
let prometheus: PrometheusProcess | undefined;
afterEach(async () => {
  await prometheus?.close();
  await gateway?.stop();
}, 60_000);

const drill = LONG && hasPrometheus() ? test : test.skip;

drill(
  `what a real Prometheus counts over ${DEATHS} deaths of ${WORKERS} workers is what the callers counted`,
  async () => {
    gateway = await startGateway({ accounts: 8, workers: WORKERS });
    const running = gateway;
    prometheus = await PrometheusProcess.start(running.adminUrl.replace('http://', ''), await freePort());
    const scraper = prometheus;
    const state = { done: false, ok: 0, broken: 0 };
    const callers = Array.from({ length: CALLERS }, async (_, caller) => {
      for (let turn = caller; !state.done; turn += CALLERS) {
        const status = await running
          .get(`/accounts/${running.accountIds[turn % running.accountIds.length] ?? ''}/account`)
          .then(async (response) => {
            await response.arrayBuffer();
            return response.status;
          })
          .catch(() => 0);
        if (status === 200) state.ok += 1;
        else state.broken += 1;
        // A steady rate: as fast as it goes would starve the scrapes.
        await sleep(20);
      }
    });
    const fallen: number[] = [];
    let before = 0;
    for (let death = 0; death < DEATHS; death += 1) {
      await sleep(BETWEEN_MS);
      const { workers } = await running.pool();
      const victim = workers.filter((one) => one.state === 'ready')[death % WORKERS] ?? workers[0];
      process.kill(victim?.pid ?? 0, 'SIGKILL');
      const now = (await scraper.value(COUNTED)) ?? 0;
      if (now < before) fallen.push(now - before);
      before = now;
    }
    await sleep(BETWEEN_MS);
    state.done = true;
    await Promise.all(callers);
    // What was answered last is in the workers' next report, and that in the next scrape.
    let counted = -1;
    await eventually(async () => {
      const now = (await scraper.value(COUNTED)) ?? 0;
      const isStill = now === counted && now > 0;
      counted = now;
      if (!isStill) await sleep(2_500);
      return isStill;
    }, 'the count stands still');
    const differs = Math.abs(counted - state.ok) / state.ok;
    const resets = (await scraper.value(`max(resets(opitios_http_requests_total[30m]))`)) ?? 0;
    tell(
      `${DEATHS} deaths of ${WORKERS} workers: callers counted ${state.ok} answers, Prometheus ${counted} ` +
        `(${(differs * 100).toFixed(2)} % apart), counter resets seen ${resets}, requests that broke ${state.broken}`,
    );

    expect(fallen).toEqual([]);
    expect(resets).toBe(0);
    expect(differs).toBeLessThan(0.01);
  },
  300_000,
);
