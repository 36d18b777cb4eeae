/** What the acceptance tests ask: one gateway, or with OPITIOS_INSTANCES so many instances behind nginx, seen as one. */
import { startBehindNginx } from './behind-nginx.js';
import { startGateway as startOne, type GatewayOptions, type GatewayProcess } from './gateway-process.js';

export function startGateway(options: GatewayOptions = {}): Promise<GatewayProcess> {
  const count = process.env['OPITIOS_INSTANCES'];
  return count === undefined ? startOne(options) : startBehindNginx(options, Number(count));
}
