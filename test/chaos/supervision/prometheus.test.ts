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
const ANSWERS = 40;
const COUNTED = 'sum(opitios_http_requests_total{route="/api/v1/accounts/{account_id}/account",status="200"})';

let gateway: GatewayProcess | undefined;
let prometheus: PrometheusProcess | undefined;
afterEach(async () => {
  await prometheus?.close();
  await gateway?.stop();
}, 60_000);

class Callers {
  ok = 0;
  broken = 0;
  #isDone = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(private readonly running: GatewayProcess) {}

  start(): void {
    this.#isDone = false;
    this.#running = Promise.all(Array.from({ length: CALLERS }, (_, caller) => this.#call(caller)));
  }

  async stop(): Promise<void> {
    this.#isDone = true;
    await this.#running;
  }

  async #call(caller: number): Promise<void> {
    const { accountIds } = this.running;
    for (let turn = caller; !this.#isDone; turn += CALLERS) {
      const status = await this.running
        .get(`/accounts/${accountIds[turn % accountIds.length] ?? ''}/account`)
        .then(async (response) => {
          await response.arrayBuffer();
          return response.status;
        })
        .catch(() => 0);
      if (status === 200) this.ok += 1;
      else this.broken += 1;
      // A steady rate: as fast as it goes would starve the scrapes.
      await sleep(20);
    }
  }
}

async function started(workers: number): Promise<{ running: GatewayProcess; scraper: PrometheusProcess }> {
  gateway = await startGateway({ accounts: 8, workers, config: { cluster: { warm_spare: true } } });
  prometheus = await PrometheusProcess.start(gateway.adminUrl.replace('http://', ''), await freePort());
  return { running: gateway, scraper: prometheus };
}

const counted = async (scraper: PrometheusProcess): Promise<number> => (await scraper.value(COUNTED)) ?? 0;

(hasPrometheus() ? test : test.skip)(
  'a real Prometheus counts every answer of a worker that died after it had reported them, and of its successor',
  async () => {
    const { running, scraper } = await started(2);
    const callers = new Callers(running);
    const { workers } = await running.pool();
    for (const victim of [workers[0], undefined]) {
      callers.start();
      const before = callers.ok;
      await eventually(() => callers.ok >= before + ANSWERS, 'callers have had answers');
      await callers.stop();
      await eventually(async () => (await counted(scraper)) >= callers.ok, 'Prometheus has counted them');
      if (victim === undefined) continue;
      process.kill(victim.pid, 'SIGKILL');
      await eventually(async () => {
        const now = (await running.pool()).workers;
        return now.length === 2 && now.every(({ pid, state }) => pid !== victim.pid && state === 'ready');
      }, 'it is replaced');
    }

    // A request whose connection broke may have been answered all the same.
    expect(await counted(scraper)).toBeGreaterThanOrEqual(callers.ok);
    expect(await counted(scraper)).toBeLessThanOrEqual(callers.ok + callers.broken);
    expect(await scraper.value('max(resets(opitios_http_requests_total[30m]))')).toBe(0);
  },
  90_000,
);

if (LONG && hasPrometheus())
  test(`what a real Prometheus counts over ${DEATHS} deaths of ${WORKERS} workers under load is what the callers counted`, async () => {
    const { running, scraper } = await started(WORKERS);
    const callers = new Callers(running);
    callers.start();
    const fallen: number[] = [];
    let before = 0;
    for (let death = 0; death < DEATHS; death += 1) {
      await sleep(BETWEEN_MS);
      const { workers } = await running.pool();
      const victim = workers.filter((one) => one.state === 'ready')[death % WORKERS] ?? workers[0];
      process.kill(victim?.pid ?? 0, 'SIGKILL');
      const now = await counted(scraper);
      if (now < before) fallen.push(now - before);
      before = now;
    }
    await sleep(BETWEEN_MS);
    await callers.stop();
    // What was answered last is in the workers' next report, and that in the next scrape.
    let last = -1;
    await eventually(async () => {
      const now = await counted(scraper);
      const isStill = now === last && now > 0;
      last = now;
      if (!isStill) await sleep(2_500);
      return isStill;
    }, 'the count stands still');
    const differs = Math.abs(last - callers.ok) / callers.ok;
    const resets = (await scraper.value(`max(resets(opitios_http_requests_total[30m]))`)) ?? 0;
    tell(
      `${DEATHS} deaths of ${WORKERS} workers: callers counted ${callers.ok} answers, Prometheus ${last} ` +
        `(${(differs * 100).toFixed(2)} % apart), counter resets seen ${resets}, requests that broke ${callers.broken}`,
    );

    expect(fallen).toEqual([]);
    expect(resets).toBe(0);
    expect(differs).toBeLessThan(0.01);
  }, 300_000);
