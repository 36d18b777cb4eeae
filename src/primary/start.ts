/** Puts the primary together and starts it. Nothing is left behind when a start fails. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditLog } from '../kernel/audit/audit-log.js';
import { Checkpointer } from '../kernel/audit/checkpoint.js';
import { AUDIT_DEFAULTS, openAuditLog } from '../kernel/audit/file-audit-log.js';
import { JwtVerifier } from '../kernel/auth/jwt-verifier.js';
import { isLoopback } from '../kernel/config/checks.js';
import { readEnvironment } from '../kernel/config/environment.js';
import type { GatewayConfig } from '../kernel/config/gateway-config.js';
import { loadConfig } from '../kernel/config/load-config.js';
import { SystemClock } from '../kernel/runtime/system-clock.js';
import { sweepStaleTables } from '../kernel/shared-memory/table-directory.js';
import { createLog, type LeveledLog } from '../kernel/telemetry/bunyan-log.js';
import { METRICS } from '../kernel/telemetry/catalogue.js';
import { MetricSum } from '../kernel/telemetry/metric-sum.js';
import { PromMeter } from '../kernel/telemetry/prom-meter.js';
import { AssignmentTable } from './assignment.js';
import { watchConfig } from './config-watch.js';
import { AdminServer } from './control-plane/admin-server.js';
import { Forker } from './fork.js';
import { Gateway } from './gateway.js';
import { Grants } from './grants.js';
import { lockInstance } from './instance-lock.js';
import { ListeningSocket } from './listening-socket.js';
import { partition } from './partition.js';
import { Reloader } from './reload.js';
import { Supervisor } from './supervisor.js';
import { WorkerProcess } from './worker-process.js';

const CHECKPOINT_INTERVAL_MS = 10_000;

export interface RunningPrimary {
  /** @throws GatewayError when the gateway cannot start; everything is closed then. */
  readonly ready: Promise<{ readonly port: number; readonly adminPort: number }>;
  readonly gateway: Gateway;
  readonly log: LeveledLog;
  rollingRestart(): Promise<void>;
  /** Drains. A second call is firm. */
  stop(): Promise<void>;
}

/** @throws GatewayError CONFIG_INVALID, SECRET_INVALID, INSTANCE_LOCKED, JOURNAL_BROKEN, PORT_IN_USE */
export async function startPrimary(configFile: string): Promise<RunningPrimary> {
  const load = (): Promise<GatewayConfig> => loadConfig(configFile, readEnvironment());
  const grants = await Grants.open(await load());
  const closers: (() => unknown)[] = [];
  try {
    return await assemble({ load, grants, closers });
  } catch (cause) {
    for (const close of closers.reverse()) await close();
    throw cause;
  }
}

interface Assembly {
  readonly load: () => Promise<GatewayConfig>;
  readonly grants: Grants;
  readonly closers: (() => unknown)[];
}

async function assemble({ load, grants, closers }: Assembly): Promise<RunningPrimary> {
  const { config } = grants;
  const clock = new SystemClock();
  const log = createLog({ level: config.log.level, fields: { role: 'primary' } });
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const lock = await lockInstance(config.dataDir);
  closers.push(() => lock.release());
  sweepStaleTables(config.marketData.sharedMemoryDir);
  const meter = new PromMeter(METRICS, { processMetrics: true });
  const metrics = new MetricSum();
  const audit = await openAudit(config.dataDir, { clock, log, meter }, closers);
  const socket = await ListeningSocket.bind(config.server.host, config.server.port);
  closers.push(() => socket.close());
  const table = AssignmentTable.open(join(config.dataDir, 'primary', 'ownership.json'));
  const verifier = await JwtVerifier.open(grants.operatorPolicy, { clock, log });
  const meshDir = mkdtempSync(join(tmpdir(), 'opitios-mesh-'));
  closers.push(() => rmSync(meshDir, { recursive: true, force: true }));
  const reloader = new Reloader({ table, verifier, audit, meter, log, loadConfig: load }, grants);
  const gateway = new Gateway({ table, audit, metrics, meter, clock, log }, reloader);
  const supervisor = buildSupervisor({ gateway, table, meshDir, socket, clock, log, meter });
  gateway.supervise(supervisor);
  placeAccounts(table, grants, supervisor.slots().slice(0, config.cluster.workers));
  const admin = new AdminServer({
    verifier,
    readiness: () => gateway.readiness(),
    metrics: () => gateway.metricsText(),
    execute: (request) => gateway.execute(request),
    executeAt: (request, subject) => gateway.executeAt(request, subject),
    requestId: randomUUID,
    tls: grants.operatorTls,
    // Off loopback whoever reads them shows a token: they tell of trading.
    opensMetrics: config.admin.socket !== undefined || isLoopback(config.admin.host),
  });
  const adminPort = await admin.listen(config.admin);
  closers.push(() => admin.close());
  reloader.operatorDoor = admin;
  closers.push(
    watchConfig({ files: () => reloader.grants.files(), clock, log, changed: () => reloader.reload('file watch') }),
  );
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    if (stopping !== undefined) supervisor.killAll();
    // First of all: whoever connects now would wait for nobody.
    socket.close();
    stopping ??= supervisor.stop().then(closeAll);
    return stopping;
  };
  const ready = supervisor.start().then(
    () => ({ port: socket.port, adminPort }),
    async (cause: unknown) => {
      supervisor.killAll();
      await stop();
      throw cause;
    },
  );
  ready.catch(() => undefined);
  return { ready, gateway, log, stop, rollingRestart: () => supervisor.rollingRestart() };
}

/** As they were before the stop, as far as they are still configured. */
function placeAccounts(table: AssignmentTable, grants: Grants, slots: readonly number[]): void {
  const known = new Set(grants.accountIds());
  table.remove([...table.ownership().keys()].filter((accountId) => !known.has(accountId)));
  table.move(partition(grants.accountIds(), slots, table.ownership()));
}

function buildSupervisor(parts: {
  readonly gateway: Gateway;
  readonly table: AssignmentTable;
  readonly meshDir: string;
  readonly socket: ListeningSocket;
  readonly clock: SystemClock;
  readonly log: LeveledLog;
  readonly meter: PromMeter;
}): Supervisor {
  const { gateway, table, meshDir, socket, clock, log, meter } = parts;
  const { config } = gateway.reloader.grants;
  const entry = new URL('../workers/main.js', import.meta.url).pathname;
  const forker = new Forker({ entry, environment: {} });
  if (!forker.diesWithPrimary) log.warn({}, 'setpriv is missing: workers end with the channel, not with the primary');
  const meshSecret = randomBytes(32).toString('hex');
  const supervisor: Supervisor = new Supervisor(
    {
      fork: (events) => new WorkerProcess(forker.fork(), clock, events),
      table,
      startMessage: async (slot) => ({
        kind: 'start',
        slot,
        slots: supervisor.slots(),
        ...{ meshDir, meshSecret, bootPid: process.pid },
        config: gateway.reloader.grants.workerConfig,
        grants: await gateway.reloader.grants.for(table.ownedBy(slot)),
        table: table.table(),
      }),
      socket: () => socket.handle,
      onMessage: (from, message) => gateway.heard(from, message),
      onEnd: (ended) => gateway.ended(ended),
      ...{ clock, log, meter },
    },
    { workers: config.cluster.workers, warmSpare: config.cluster.warmSpare },
  );
  return supervisor;
}

/** The primary's own chain, and the signatures over all chains: the last one after the workers have drained. */
async function openAudit(
  dataDir: string,
  ports: { readonly clock: SystemClock; readonly log: LeveledLog; readonly meter: PromMeter },
  closers: (() => unknown)[],
): Promise<AuditLog> {
  const dir = join(dataDir, 'audit');
  const audit = await openAuditLog({ dir, writer: 'primary', ...AUDIT_DEFAULTS }, ports);
  closers.push(() => audit.close());
  const options = { dir, keyFile: join(dataDir, 'audit-key.pem'), intervalMs: CHECKPOINT_INTERVAL_MS };
  const checkpointer = new Checkpointer(options, ports.clock, ports.log);
  await checkpointer.start();
  closers.push(() => checkpointer.close());
  // So that there is something to sign before the first order, and a trail of starts.
  await audit.append({ kind: 'config-change', subject: 'system', facts: { action: 'start' } });
  await checkpointer.sign();
  return audit;
}
