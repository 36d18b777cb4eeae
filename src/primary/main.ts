/** The primary as a process: `node dist/primary/main.js --config FILE`. Signals: docs/operations.md. */
import { parseArgs } from 'node:util';
import { configFileFrom, readEnvironment } from '../kernel/config/environment.js';
import { GatewayError } from '../kernel/domain/errors.js';
import { EarlyWorkers } from './early-workers.js';
import type { RunningPrimary } from './start.js';

// Before the rest is loaded: that takes as long as their own loading.
const workers = new EarlyWorkers();
const { startPrimary } = await import('./start.js');

const { values } = parseArgs({
  options: { config: { type: 'string' }, 'end-with-parent': { type: 'boolean' } },
  strict: false,
});
// The demo's: whoever started us is gone, and nobody is left to stop us.
if (values['end-with-parent'] === true) process.on('disconnect', () => process.exit(1));
const option = typeof values.config === 'string' ? values.config : undefined;

try {
  const primary = await startPrimary(configFileFrom(option, readEnvironment()), workers);
  obey(primary);
  const { port, adminPort } = await primary.ready;
  primary.log.info({ port, adminPort }, 'ready');
  process.send?.('ready');
} catch (cause) {
  process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`);
  const isInvalid = cause instanceof GatewayError && ['CONFIG_INVALID', 'SECRET_INVALID'].includes(cause.code);
  process.exit(isInvalid ? 2 : 1);
}

function obey(primary: RunningPrimary): void {
  const leave = (): void => void primary.stop().then(() => process.exit(0));
  process.on('SIGTERM', leave);
  process.on('SIGINT', leave);
  process.on('SIGHUP', () => void primary.gateway.reloader.reload('SIGHUP').catch(() => undefined));
  process.on('SIGUSR2', () => void primary.rollingRestart());
}
