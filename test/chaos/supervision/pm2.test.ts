/** The gateway under PM2: what PM2 is told to restart, and what it keeps. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../support/free-port.js';
import { startGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { Pm2 } from '../../support/pm2-process.js';
import { OPTIONS, restartUnderLoad, RESTARTS } from '../../support/restart-drill.js';
import { SecretHunt, type Needle } from '../../support/secret-hunt.js';

const needles: Needle[] = [];
let gateway: GatewayProcess;
let pm2: Pm2;
beforeAll(async () => {
  const [port, adminPort] = [await freePort(), await freePort()];
  gateway = await startGateway({
    ...OPTIONS,
    // PM2 runs it as in production.
    config: { ...OPTIONS.config, server: { port }, admin: { port: adminPort } },
    editConfig: (config) => {
      const found = JSON.stringify(config).matchAll(/"(secret|api_key|secret_key)":"([^"]+)"/g);
      needles.push(...[...found].map(([, name = '', value = '']) => ({ name, value })));
    },
  });
  const first = gateway.primary;
  const ended = new Promise((resolve) => first.once('exit', resolve));
  first.kill('SIGTERM');
  await ended;
  pm2 = new Pm2(gateway.configFile);
  await pm2.start();
}, 120_000);
afterAll(async () => {
  await pm2.close();
  await gateway.stop();
}, 60_000);

test(`${RESTARTS} restarts that PM2 is told to do fail no request and lose no order event`, async () => {
  await restartUnderLoad(gateway, () => pm2.run('sendSignal', 'SIGUSR2', 'opitios'), 'PM2 restarts (SIGUSR2)');
}, 900_000);

test('PM2 keeps no secret in what it dumps, logs or hands on', async () => {
  await pm2.run('dump');

  const hunt = new SecretHunt(needles);
  hunt.inDirectory(pm2.home);
  hunt.inProcess(await pm2.pid());
  hunt.inText('pm2 prettylist', await pm2.run('prettylist'));
  expect(needles).toHaveLength(OPTIONS.accounts * 2 + 3);
  expect(existsSync(join(pm2.home, 'dump.pm2'))).toBe(true);
  expect(hunt.hits).toEqual([]);
}, 120_000);
