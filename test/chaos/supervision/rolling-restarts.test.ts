import { afterEach, test } from '@jest/globals';
import { startGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { OPTIONS, restartUnderLoad, RESTARTS } from '../../support/restart-drill.js';

let gateway: GatewayProcess | undefined;
afterEach(() => gateway?.stop(), 60_000);

test(`${RESTARTS} rolling restarts under load fail no request and lose no order event`, async () => {
  gateway = await startGateway(OPTIONS);
  const running = gateway;
  await restartUnderLoad(running, () => running.primary.kill('SIGUSR2'), 'rolling restarts');
}, 900_000);
