/** What PM2 keeps of the gateway that it runs. Starting PM2 takes its time: `npm run chaos -- pm2-dump` does. */
import { afterEach, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { startGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { Pm2 } from '../../support/pm2-process.js';
import { SecretHunt, type Needle } from '../../support/secret-hunt.js';

const IS_LONG = process.env['OPITIOS_LONG'] === '1';

let gateway: GatewayProcess | undefined;
let pm2: Pm2 | undefined;
afterEach(async () => {
  await pm2?.close();
  await gateway?.stop();
}, 60_000);

(IS_LONG ? test : test.skip)(
  'PM2 keeps no secret in what it dumps, logs or hands on',
  async () => {
    const needles: Needle[] = [];
    gateway = await startGateway({
      accounts: 2,
      // PM2 runs it as in production.
      config: { secrets: { allow_plain_text: true } },
      editConfig: (config) => {
        const found = JSON.stringify(config).matchAll(/"(secret|api_key|secret_key)":"([^"]+)"/g);
        needles.push(...[...found].map(([, name = '', value = '']) => ({ name, value })));
      },
    });
    const running = gateway;
    const ended = new Promise((resolve) => running.primary.once('exit', resolve));
    running.primary.kill('SIGTERM');
    await ended;
    pm2 = new Pm2(running.configFile);
    await pm2.start();
    await pm2.run('dump');

    const hunt = new SecretHunt(needles);
    hunt.inDirectory(pm2.home);
    hunt.inProcess(await pm2.pid());
    hunt.inText('pm2 prettylist', await pm2.run('prettylist'));
    expect(needles).toHaveLength(7);
    expect(existsSync(join(pm2.home, 'dump.pm2'))).toBe(true);
    expect(hunt.hits).toEqual([]);
  },
  120_000,
);
