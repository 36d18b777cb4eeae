/** The worker as a process: speaks to the primary, builds its parts when told to start, ends with the channel. */
import { isEchoOfFailedCommit } from '../kernel/journal/lmdb-store.js';
import { createLog } from '../kernel/telemetry/bunyan-log.js';
import { METRICS } from '../kernel/telemetry/catalogue.js';
import { PromMeter } from '../kernel/telemetry/prom-meter.js';
import { SystemClock } from '../kernel/runtime/system-clock.js';
import { silentTracer, type Tracer } from '../kernel/runtime/tracer.js';
import type { GatewayConfig } from '../kernel/config/gateway-config.js';
import type { PrimaryMessage, WorkerMessage } from '../kernel/ipc/control.js';
import { runTask } from '../threads/run-task.js';
import { crashPointsFrom } from './orders/crash-points.js';
import { watchEventLoop } from './compose/event-loop-watch.js';
import { letHeapGrow } from './compose/heap-growth.js';
import { meterLoopDelay } from './compose/loop-delay.js';
import { WorkerParts, type StartMessage } from './compose/worker.js';
import { rehearse } from './rehearsal/rehearse.js';

// The SDK falls back to these: an account would then trade with somebody else's key.
for (const name of Object.keys(process.env)) if (name.startsWith('APCA_')) Reflect.deleteProperty(process.env, name);

const clock = new SystemClock();
const log = createLog({ level: 'info', fields: { role: 'worker' } });
const meter = new PromMeter(METRICS, { processMetrics: true });
const crash = crashPointsFrom(
  process.env['NODE_ENV'] === 'test' ? process.env['GW_CRASH_AT'] : undefined,
  clock,
  () => process.kill(process.pid, 'SIGKILL'), // prettier-ignore
);
const threadsEntry = new URL('../threads/main.js', import.meta.url).pathname;
/** The last spans get this long: after it the primary would kill what is left. */
const FLUSH_MS = 1_500;
let parts: WorkerParts | undefined;
let closeTracer = (): Promise<void> => Promise.resolve();
let isLeaving = false;
/** What is asked of a worker whose parts are being built waits for them. */
let built: Promise<void> | undefined;
const rehearsal = new AbortController();

const send = (message: WorkerMessage): void => {
  if (process.connected) process.send?.(message, undefined, {}, () => undefined);
};

process.on('disconnect', () => process.exit(isLeaving ? 0 : 1));
// The primary decides when a worker ends; a Ctrl-C goes to the whole group.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => undefined);
process.on('uncaughtException', fail);
process.on('unhandledRejection', (cause) => {
  if (!isEchoOfFailedCommit(cause)) fail(cause);
});

process.on('message', (message: PrimaryMessage, socket: unknown) => {
  if (message.kind === 'start') void begin(message, socket).catch(fail);
  else if (message.kind === 'rehearse') void rehearseOnce(message.config as GatewayConfig);
  else if (message.kind === 'drain') void leave(message).catch(fail);
  else if (message.kind === 'ping' && parts === undefined) send({ kind: 'pong', sentAt: message.sentAt, sessions: {} });
  else void built?.then(() => parts?.handle(message)).catch(fail);
});
letHeapGrow();
watchEventLoop(clock, log, { fields: { role: 'worker' } });
void meterLoopDelay(clock, meter);
send({ kind: 'hello' });

async function begin(message: StartMessage, socket: unknown): Promise<void> {
  rehearsal.abort();
  log.setLevel((message.config as GatewayConfig).log.level);
  built = build(message);
  await built;
  if (parts === undefined) return;
  await parts.open(socket);
  send({ kind: 'ready', accounts: message.grants.length });
}

async function build(message: StartMessage): Promise<void> {
  const tracer = await tracerFor(message);
  const env = { clock, log, meter, tracer, send, pid: process.pid, crash, runTask };
  parts = await WorkerParts.build(message, { ...env, threadsEntry });
}

/** A worker that could not rehearse is needed all the same. Its log and its counts are nobody's business. */
async function rehearseOnce(config: GatewayConfig): Promise<void> {
  const startedAt = clock.monotonicMs();
  const quiet = {
    log: createLog({ level: 'fatal' }),
    meter: new PromMeter(METRICS, { processMetrics: false }),
    tracer: silentTracer,
  };
  const aside = { send: () => undefined, crash: crashPointsFrom(undefined, clock, () => undefined) };
  const stage = { clock, ...quiet, ...aside, pid: process.pid, runTask, threadsEntry };
  await rehearse(config, stage, rehearsal.signal).then(
    () => log.info({ tookMs: Math.round(clock.monotonicMs() - startedAt) }, 'rehearsed'),
    (cause: unknown) => log.warn({ cause }, 'not rehearsed'),
  );
}

async function leave(message: Extract<PrimaryMessage, { readonly kind: 'drain' }>): Promise<void> {
  if (isLeaving) return;
  isLeaving = true;
  await parts?.handle(message);
  await closeTracer();
  process.exit(0);
}

/** The SDK is loaded only where somebody wants its spans. */
async function tracerFor({ slot, config }: StartMessage): Promise<Tracer> {
  const { telemetry, cluster } = config as GatewayConfig;
  if (telemetry.otlpEndpoint === undefined) return silentTracer;
  const { OtelTracer } = await import('../kernel/telemetry/otel-tracer.js');
  const resource = { 'service.instance.id': cluster.instanceId, 'opitios.slot': slot, 'process.pid': process.pid };
  const tracer = new OtelTracer({ endpoint: telemetry.otlpEndpoint, ratio: telemetry.traceRatio, resource });
  closeTracer = () => Promise.race([tracer.close(), clock.sleep(FLUSH_MS)]);
  return tracer;
}

function fail(cause: unknown): void {
  const named = (cause as { readonly code?: unknown } | undefined)?.code;
  const code = typeof named === 'string' ? named : 'UNKNOWN';
  const detail = cause instanceof Error ? cause.message : String(cause);
  log.fatal({ cause }, 'worker fails');
  send({ kind: 'failed', code, detail });
  // The message must leave first; the primary sees the end either way.
  setTimeout(() => process.exit(1), 50);
}
