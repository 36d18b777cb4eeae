/** Puts the primary together and starts it. Nothing is left behind when a start fails. */
import cluster from 'node:cluster';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AUDIT_DEFAULTS, openAuditLog } from '../kernel/audit/file-audit-log.js';
import { JwtVerifier } from '../kernel/auth/jwt-verifier.js';
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
import { partition } from './partition.js';
import { Supervisor } from './supervisor.js';
import { WorkerProcess } from './worker-process.js';

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
  const config = await withFixedPort(await load());
  const grants = await Grants.open(config);
  const closers: (() => unknown)[] = [];
  try {
    return await assemble({ configFile, load, grants, closers });
  } catch (cause) {
    for (const close of closers.reverse()) await close();
    throw cause;
  }
}

interface Assembly {
  readonly configFile: string;
  readonly load: () => Promise<GatewayConfig>;
  readonly grants: Grants;
  readonly closers: (() => unknown)[];
}

async function assemble({ configFile, load, grants, closers }: Assembly): Promise<RunningPrimary> {
  const { config } = grants;
  const clock = new SystemClock();
  const log = createLog({ level: config.log.level, fields: { role: 'primary' } });
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const lock = await lockInstance(config.dataDir);
  closers.push(() => lock.release());
  sweepStaleTables(config.marketData.sharedMemoryDir);
  const meter = new PromMeter(METRICS, { processMetrics: true });
  const metrics = new MetricSum();
  const audit = await openAuditLog(
    { dir: join(config.dataDir, 'audit'), writer: 'primary', ...AUDIT_DEFAULTS },
    { clock, log, meter },
  );
  closers.push(() => audit.close());
  const table = AssignmentTable.open(join(config.dataDir, 'primary', 'ownership.json'));
  const verifier = await JwtVerifier.open(grants.workerConfig.auth, { clock, log });
  const meshDir = mkdtempSync(join(tmpdir(), 'opitios-mesh-'));
  closers.push(() => rmSync(meshDir, { recursive: true, force: true }));
  const reload = async (): Promise<GatewayConfig> => ({ ...(await load()), server: config.server });
  const gateway = new Gateway({ table, verifier, audit, metrics, meter, clock, log, loadConfig: reload }, grants);
  const supervisor = buildSupervisor({ gateway, table, meshDir, clock, log, meter });
  gateway.supervisor = supervisor;
  const slots = supervisor.slots().slice(0, config.cluster.workers);
  const known = new Set(grants.accountIds());
  table.remove([...table.ownership().keys()].filter((accountId) => !known.has(accountId)));
  table.move(partition(grants.accountIds(), slots, table.ownership()));
  const admin = new AdminServer({
    verifier,
    readiness: () => gateway.readiness(),
    metrics: () => gateway.metricsText(),
    execute: (request) => gateway.execute(request),
    executeAt: (request, subject) => gateway.executeAt(request, subject),
    requestId: randomUUID,
  });
  const adminPort = await admin.listen(config.admin);
  closers.push(() => admin.close());
  closers.push(watchConfig(configFile, clock, () => void gateway.reload('file watch').catch(() => undefined)));
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    if (stopping !== undefined) supervisor.killAll();
    stopping ??= supervisor.stop().then(closeAll);
    return stopping;
  };
  const ready = supervisor.start().then(
    (port) => ({ port, adminPort }),
    async (cause: unknown) => {
      supervisor.killAll();
      await stop();
      throw cause;
    },
  );
  ready.catch(() => undefined);
  return { ready, gateway, log, stop, rollingRestart: () => supervisor.rollingRestart() };
}

function buildSupervisor(parts: {
  readonly gateway: Gateway;
  readonly table: AssignmentTable;
  readonly meshDir: string;
  readonly clock: SystemClock;
  readonly log: LeveledLog;
  readonly meter: PromMeter;
}): Supervisor {
  const { gateway, table, meshDir, clock, log, meter } = parts;
  const { config } = gateway.grants;
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
        config: gateway.grants.workerConfig,
        grants: await gateway.grants.for(table.ownedBy(slot)),
        table: table.table(),
      }),
      onMessage: (from, message) => gateway.heard(from, message),
      onEnd: (ended) => gateway.ended(ended),
      ...{ clock, log, meter },
    },
    { workers: config.cluster.workers, warmSpare: config.cluster.warmSpare },
  );
  return supervisor;
}

/** Port 0 is chosen once: workers that start later must find the same one. */
async function withFixedPort(config: GatewayConfig): Promise<GatewayConfig> {
  if (config.server.port !== 0 || !cluster.isPrimary) return config;
  const port = await new Promise<number>((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, config.server.host, () => {
      const address = probe.address();
      const found = address !== null && typeof address === 'object' ? address.port : 0;
      probe.close(() => resolve(found));
    });
  });
  return { ...config, server: { ...config.server, port } };
}
