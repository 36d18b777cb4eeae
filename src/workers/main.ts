/**
 * A worker's process. It says `hello` to the primary that forked it, waits to be told who it is, and ends when the
 * primary does: nobody else may tell it what it owns.
 */
import { CRASH_POINTS_ENV, environmentOf } from './compose/environment.js';
import { crashPointsFrom } from './orders/crash-points.js';
import { Worker, type WorkerPorts } from './compose/worker.js';
import type { GatewayConfig } from '../kernel/config/gateway-config.js';
import type { PrimaryMessage, WorkerMessage } from '../kernel/ipc/control.js';
import { SystemClock } from '../kernel/runtime/system-clock.js';
import { createLog } from '../kernel/telemetry/bunyan-log.js';
import { METRICS } from '../kernel/telemetry/catalogue.js';
import { PromMeter } from '../kernel/telemetry/prom-meter.js';
import { GatewayError } from '../kernel/domain/errors.js';

/** Counts reach the primary this often: what a killed worker had not told yet is lost. */
const METRICS_INTERVAL_MS = 250;

const clock = new SystemClock();
const log = createLog({ level: 'info', fields: { role: 'worker' } });
const meter = new PromMeter(METRICS, { processMetrics: true });
const environment = environmentOf(process.env);
let worker: Worker | undefined;

function tell(message: WorkerMessage): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

async function start(message: Extract<PrimaryMessage, { readonly kind: 'start' }>): Promise<void> {
  log.setLevel((message.config as GatewayConfig).log.level);
  const ports: WorkerPorts = {
    ...{ clock, log: log.child({ slot: message.slot }), meter, tell },
    setLogLevel: (level) => log.setLevel(level),
    crash: crashPointsFrom(environment[CRASH_POINTS_ENV], clock, () => process.kill(process.pid, 'SIGKILL')),
    threadsEntry: new URL('../threads/main.js', import.meta.url).pathname,
  };
  try {
    const opened = await Worker.open(message, ports);
    worker = opened.worker;
    void tellMetrics();
    tell({ kind: 'ready', accounts: opened.worker.accounts(), port: opened.port });
  } catch (cause) {
    fail(cause);
  }
}

/** The primary decides whether this ends the instance or is tried again. */
function fail(cause: unknown): void {
  const code = cause instanceof GatewayError ? cause.code : ((cause as NodeJS.ErrnoException).code ?? 'UNKNOWN');
  const detail = cause instanceof Error ? cause.message : String(cause);
  log.fatal({ code, cause }, 'worker cannot start');
  tell({ kind: 'failed', code, detail });
  setTimeout(() => process.exit(1), 100);
}

async function tellMetrics(): Promise<void> {
  while (process.connected) {
    tell({ kind: 'metrics', families: await meter.snapshot() });
    await clock.sleep(METRICS_INTERVAL_MS);
  }
}

async function drain(deadlineMs: number): Promise<void> {
  await worker?.drain(deadlineMs);
  tell({ kind: 'metrics', families: await meter.snapshot() });
  tell({ kind: 'drained' });
  setTimeout(() => process.exit(0), 50);
}

async function reload({ id, config, grants }: Extract<PrimaryMessage, { readonly kind: 'reload' }>): Promise<void> {
  try {
    await worker?.reload(config as GatewayConfig, grants);
    tell({ kind: 'reloaded', id });
  } catch (cause) {
    tell({ kind: 'reloaded', id, error: cause instanceof Error ? cause.message : String(cause) });
  }
}

process.on('message', (message: PrimaryMessage) => {
  switch (message.kind) {
    case 'start':
      void start(message);
      return;
    case 'grant':
      void worker?.grant(message.grants);
      return;
    case 'release':
      void worker
        ?.release(message.accountIds, message.deadlineMs)
        .then((assignments) => tell({ kind: 'released', assignments }));
      return;
    case 'ping':
      tell({ kind: 'pong', sentAt: message.sentAt, sessions: worker?.sessionsByState() ?? {} });
      return;
    case 'drain':
      void drain(message.deadlineMs);
      return;
    case 'reload':
      void reload(message);
      return;
    default:
      worker?.heard(message);
  }
});
// Without its primary a worker owns nothing: another may be given its accounts at any moment.
process.on('disconnect', () => process.exit(1));
// Signals are the primary's business; a terminal's Ctrl-C reaches the whole group.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('SIGHUP', () => undefined);
process.on('SIGUSR2', () => undefined);
tell({ kind: 'hello' });
