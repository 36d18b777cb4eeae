/** Puts the primary together and starts it. Nothing is left behind when a start fails. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditLog } from '../kernel/audit/audit-log.js';
import { Checkpointer } from '../kernel/audit/checkpoint.js';
import { AUDIT_DEFAULTS, openAuditLog } from '../kernel/audit/file-audit-log.js';
import { JwtVerifier } from '../kernel/auth/jwt-verifier.js';
import { isLoopback } from '../kernel/config/loopback.js';
import { readEnvironment } from '../kernel/config/environment.js';
import type { GatewayConfig } from '../kernel/config/gateway-config.js';
import { GatewayError } from '../kernel/domain/errors.js';
import type { AccountId } from '../kernel/domain/identifiers.js';
import type { AccountGrant } from '../kernel/ipc/control.js';
import { loadConfig } from '../kernel/config/load-config.js';
import { SystemClock } from '../kernel/runtime/system-clock.js';
import { removeMarks, sweepOrphanedMarks } from '../kernel/shared-memory/first-byte-marks.js';
import { removeTable, sweepStaleTables } from '../kernel/shared-memory/table-directory.js';
import { createLog, type LeveledLog } from '../kernel/telemetry/bunyan-log.js';
import { METRICS } from '../kernel/telemetry/catalogue.js';
import { MetricSum } from '../kernel/telemetry/metric-sum.js';
import { PromMeter } from '../kernel/telemetry/prom-meter.js';
import { AssignmentTable } from './assignment.js';
import { watchConfig } from './config-watch.js';
import { AdminServer } from './control-plane/admin-server.js';
import type { EarlyWorkers } from './early-workers.js';
import { Gateway } from './gateway.js';
import { Grants } from './grants.js';
import { openNamespaces } from './id-namespaces.js';
import { lockInstance } from './instance-lock.js';
import type { InstanceLeases } from './leases/instance-leases.js';
import type { OpenLeases } from './leases/open-leases.js';
import { ListeningSocket } from './listening-socket.js';
import { AlertBoard } from './notifications/alert-board.js';
import { AlertWatch } from './notifications/watch.js';
import { partition } from './partition.js';
import { Reloader } from './reload.js';
import { Supervisor } from './supervisor.js';

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
export async function startPrimary(configFile: string, workers: EarlyWorkers): Promise<RunningPrimary> {
  const load = (): Promise<GatewayConfig> => loadConfig(configFile, readEnvironment());
  const grants = await Grants.open(await load());
  const closers: (() => unknown)[] = [];
  try {
    return await assemble({ load, grants, closers, workers });
  } catch (cause) {
    for (const close of closers.reverse()) await close();
    throw cause;
  }
}

interface Assembly {
  readonly load: () => Promise<GatewayConfig>;
  readonly grants: Grants;
  readonly closers: (() => unknown)[];
  readonly workers: EarlyWorkers;
}

/** What instances that are gone left behind is removed now; what is of this one, when its workers have ended. */
function useSharedMemory({ marketData, dataDir }: GatewayConfig, closers: (() => unknown)[]): void {
  const { sharedMemoryDir: dir } = marketData;
  sweepStaleTables(dir);
  sweepOrphanedMarks(dir);
  closers.push(() => {
    removeTable(dir, process.pid);
    removeMarks(dir, dataDir);
  });
}

async function underNamespaces(opened: Grants, now: number): Promise<Grants> {
  const { namespaces, remember } = await openNamespaces(opened.config, now);
  remember();
  return opened.under(namespaces);
}

async function assemble({ load, grants: opened, closers, workers }: Assembly): Promise<RunningPrimary> {
  const { config } = opened;
  const clock = new SystemClock();
  const log = createLog({ level: config.log.level, fields: { role: 'primary' } });
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const lock = await lockInstance(config.dataDir);
  closers.push(() => lock.release());
  const grants = await underNamespaces(opened, clock.now());
  useSharedMemory(config, closers);
  const meter = new PromMeter(METRICS, { processMetrics: true });
  const metrics = new MetricSum();
  const audit = await openAudit(config.dataDir, { clock, log, meter }, closers);
  const socket = await ListeningSocket.bind(config.server.host, config.server.port);
  closers.push(() => socket.close());
  const late: LateParts = {};
  const shared = await openShared(late, { config, clock, log, meter }, closers);
  const table = AssignmentTable.open(
    join(config.dataDir, 'primary', 'ownership.json'),
    shared === undefined ? undefined : (accountId) => shared.leases.epochFloorOf(accountId),
  );
  late.table = table;
  const verifier = await JwtVerifier.open(grants.operatorPolicy, { clock, log });
  const meshDir = mkdtempSync(join(tmpdir(), 'opitios-mesh-'));
  closers.push(() => rmSync(meshDir, { recursive: true, force: true }));
  const isHere = (accountId: AccountId): boolean => shared?.leases.isHere(accountId) ?? true;
  const reloader = new Reloader({ table, verifier, audit, meter, clock, log, loadConfig: load, isHere }, grants);
  const board = new AlertBoard(clock);
  const gateway = new Gateway(
    { table, audit, metrics, meter, clock, log, board, leases: shared?.leases, facts: shared?.facts },
    reloader,
  );
  reloader.onReloaded = () => gateway.brokerAccounts.judge();
  late.gateway = gateway;
  const supervised = { gateway, table, meshDir, socket, workers, leases: shared?.leases };
  const supervisor = buildSupervisor({ ...supervised, clock, log, meter });
  gateway.supervise(supervisor);
  placeAccounts(table, grants.accountIds().filter(isHere), supervisor.slots().slice(0, config.cluster.workers));
  const admin = adminServer(grants, gateway, verifier);
  const adminPort = await admin.listen(config.admin);
  closers.push(() => admin.close());
  const alerts = new AlertWatch({
    ...{ config, board, clock, log, meter, fetch },
    view: () => gateway.view(),
  });
  closers.push(() => alerts.close());
  reloader.operatorDoor = admin;
  closers.push(
    watchConfig({ files: () => reloader.grants.files(), clock, log, changed: () => reloader.reload('file watch') }),
  );
  const begin = (): Promise<void> => shared?.start(socket.port) ?? Promise.resolve();
  const life = live({ supervisor, workers, socket, closers, begin, leave: () => shared?.leases.leave() });
  const ready = life.ready.then(() => ({ port: socket.port, adminPort }));
  ready.catch(() => undefined);
  return { ready, gateway, log, stop: life.stop, rollingRestart: () => supervisor.rollingRestart() };
}

function adminServer(grants: Grants, gateway: Gateway, verifier: JwtVerifier): AdminServer {
  const { admin } = grants.config;
  return new AdminServer({
    verifier,
    readiness: () => gateway.readiness(),
    metrics: () => gateway.metricsText(),
    execute: (request) => gateway.execute(request),
    executeAt: (request, subject) => gateway.executeAt(request, subject),
    requestId: randomUUID,
    tls: grants.operatorTls,
    // Off loopback whoever reads them shows a token: they tell of trading.
    opensMetrics: admin.socket !== undefined || isLoopback(admin.host),
  });
}

/** The start to its end, and the end. */
function live(parts: {
  readonly supervisor: Supervisor;
  readonly workers: EarlyWorkers;
  readonly socket: ListeningSocket;
  readonly closers: (() => unknown)[];
  readonly begin: () => Promise<void>;
  readonly leave: () => Promise<void> | undefined;
}): { readonly ready: Promise<void>; readonly stop: () => Promise<void> } {
  const { supervisor, workers, socket, closers, begin, leave } = parts;
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    if (stopping !== undefined) supervisor.killAll();
    workers.dismiss();
    // First of all: whoever connects now would wait for nobody.
    socket.close();
    // Other instances take over while the workers here still answer, and send on what is not theirs any more.
    stopping ??= Promise.resolve(leave())
      .then(() => supervisor.stop())
      .then(closeAll);
    return stopping;
  };
  const ready = supervisor
    .start()
    .then(() => {
      workers.dismiss();
      return begin();
    })
    .catch(async (cause: unknown) => {
      supervisor.killAll();
      await stop();
      throw cause;
    });
  return { ready, stop };
}

/** As they were before the stop, as far as they are still configured, and held by this instance. */
function placeAccounts(table: AssignmentTable, here: readonly AccountId[], slots: readonly number[]): void {
  const known = new Set(here);
  table.remove([...table.ownership().keys()].filter((accountId) => !known.has(accountId)));
  table.move(partition(here, slots, table.ownership()));
}

function buildSupervisor(parts: {
  readonly gateway: Gateway;
  readonly table: AssignmentTable;
  readonly meshDir: string;
  readonly socket: ListeningSocket;
  readonly workers: EarlyWorkers;
  readonly clock: SystemClock;
  readonly log: LeveledLog;
  readonly meter: PromMeter;
  readonly leases: InstanceLeases | undefined;
}): Supervisor {
  const { gateway, table, meshDir, socket, workers, clock, log, meter, leases } = parts;
  const mark = (grants: readonly AccountGrant[]): readonly AccountGrant[] => leases?.mark(grants) ?? grants;
  const { config } = gateway.reloader.grants;
  if (!workers.diesWithPrimary) log.warn({}, 'setpriv is missing: workers end with the channel, not with the primary');
  const meshSecret = randomBytes(32).toString('hex');
  const supervisor: Supervisor = new Supervisor(
    {
      fork: (events) => workers.fork(events),
      table,
      startMessage: async (slot) => ({
        kind: 'start',
        slot,
        slots: supervisor.slots(),
        ...{ meshDir, meshSecret, bootPid: process.pid },
        config: gateway.reloader.grants.workerConfig,
        grants: mark(await gateway.reloader.grants.for(table.ownedBy(slot))),
        table: table.table(),
        ...(gateway.orderIdsRefusal !== undefined && { orderIdsRefusal: gateway.orderIdsRefusal }),
        ...(leases !== undefined && { instances: leases.forStart() }),
      }),
      workerConfig: () => gateway.reloader.grants.workerConfig,
      socket: () => socket.handle,
      onMessage: (from, message) => gateway.heard(from, message),
      onEnd: (ended) => gateway.ended(ended),
      ...{ mark, clock, log, meter },
    },
    { workers: config.cluster.workers, warmSpare: config.cluster.warmSpare },
  );
  return supervisor;
}

/** Made after the leases, which ask for them when there is something to do. */
interface LateParts {
  table?: AssignmentTable;
  gateway?: Gateway;
}

/** Without `cluster.redis` nothing of this is loaded. */
async function openShared(
  late: LateParts,
  parts: {
    readonly config: GatewayConfig;
    readonly clock: SystemClock;
    readonly log: LeveledLog;
    readonly meter: PromMeter;
  },
  closers: (() => unknown)[],
): Promise<OpenLeases | undefined> {
  if (parts.config.cluster.redis === undefined) return undefined;
  const { openLeases } = await import('./leases/open-leases.js');
  const shared = openLeases(parts.config, {
    ...parts,
    supervisor: () => late.gateway?.supervisor,
    table: () => made(late.table),
    grants: () => made(late.gateway).reloader.grants,
    setTradingState: (accountId, shared) => made(late.gateway).putInForce(accountId, shared),
    onNumbers: (numbers) => {
      for (const [accountId, number] of numbers) made(late.gateway).brokerAccounts.learned(accountId, number);
    },
    onOtherNamespace: (fingerprint) => made(late.gateway).otherNamespace(fingerprint),
  });
  closers.push(() => shared.close());
  return shared;
}

function made<T>(part: T | undefined): T {
  if (part === undefined) throw new GatewayError('ASSERTION_FAILED', {}, { message: 'asked for before it was made' });
  return part;
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
