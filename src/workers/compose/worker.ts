/**
 * A worker put together: mesh, market data, trading, routing, edges. Started by the primary's `start`, ended by its
 * `drain` or by the loss of the channel.
 */
import { JwtVerifier } from '../../kernel/auth/jwt-verifier.js';
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import { GatewayError } from '../../kernel/domain/errors.js';
import { MASTER_ACCOUNT_ID, type AccountId } from '../../kernel/domain/identifiers.js';
import type { PrimaryMessage, WorkerMessage, WorkerReport } from '../../kernel/ipc/control.js';
import { SocketMesh } from '../../kernel/ipc/socket-mesh.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Tracer } from '../../kernel/runtime/tracer.js';
import { tableDirectory } from '../../kernel/shared-memory/table-directory.js';
import type { LeveledLog } from '../../kernel/telemetry/bunyan-log.js';
import { EXPOSITION_TYPE } from '../../kernel/telemetry/metric-sum.js';
import type { PromMeter } from '../../kernel/telemetry/prom-meter.js';
import type { EdgeConfig } from '../http/gate.js';
import { createHttpEdge, type HttpEdge } from '../http/http-edge.js';
import { MarketData, type MarketDataParts } from '../market-data/market-data.js';
import type { CrashPoints } from '../orders/crash-points.js';
import { systemEntropy, uuidV7 } from '../orders/entropy.js';
import { namespaceIn } from '../orders/order-id.js';
import type { DeskPorts } from '../orders/ports.js';
import { InstanceMap } from '../routing/instance-map.js';
import { LocalAccounts } from '../routing/local-accounts.js';
import { MeshOrderEvents } from '../routing/mesh-order-events.js';
import { MeshRouter } from '../routing/mesh-router.js';
import { OwnershipView } from '../routing/ownership-view.js';
import { PrimaryAdminDoor } from '../routing/primary-admin-door.js';
import { SessionReports } from '../routing/session-reports.js';
import { asyncApiDocument } from '../streams/async-api.js';
import { StreamEdge } from '../streams/stream-edge.js';
import { GrantFence } from './grant-fence.js';
import { TableMarks } from './marks.js';
import { openShared, type Shared } from './open-shared.js';
import { OwnedAccounts, type OwnedAccountsParts } from './owned-accounts.js';
import { Profiler } from './profiler.js';
import { Trading } from './trading.js';

export type StartMessage = Extract<PrimaryMessage, { readonly kind: 'start' }>;

export interface WorkerEnvironment {
  readonly clock: Clock;
  readonly log: LeveledLog;
  readonly meter: PromMeter;
  readonly tracer: Tracer;
  readonly send: (message: WorkerMessage) => void;
  readonly pid: number;
  readonly crash: CrashPoints;
  readonly threadsEntry: string;
  readonly runTask: MarketDataParts['runTask'];
}

const CLOSE_SHARE = 0.5;
const PUBLISH_EVERY_MS = 1_000;

export class WorkerParts {
  readonly #admin: PrimaryAdminDoor;
  readonly #profiler: Profiler;
  #publishedAt = -Infinity;

  private constructor(
    private readonly start: StartMessage,
    private readonly env: WorkerEnvironment,
    private readonly built: {
      readonly mesh: SocketMesh;
      readonly marketData: MarketData;
      readonly trading: Trading;
      readonly local: LocalAccounts;
      readonly reports: SessionReports;
      readonly ownership: OwnershipView;
      readonly fence: GrantFence;
      readonly instances: InstanceMap;
      readonly others: Shared;
      readonly owned: OwnedAccounts;
      readonly verifier: JwtVerifier;
      readonly router: MeshRouter;
      readonly http: HttpEdge;
      readonly streams: StreamEdge;
      readonly admin: PrimaryAdminDoor;
      readonly settings: { config: GatewayConfig; configured: ReadonlySet<AccountId> };
    },
  ) {
    this.#admin = built.admin;
    this.#profiler = new Profiler(env.clock);
  }

  /** Everything built and joined; no account open, nothing listening to clients. */
  static async build(start: StartMessage, env: WorkerEnvironment): Promise<WorkerParts> {
    const config = start.config as GatewayConfig;
    const { clock, log, meter, tracer } = env;
    const settings = { config, configured: configuredOf(config) };
    const ownership = new OwnershipView();
    ownership.apply(start.table);
    const { slot, slots, meshDir: dir, meshSecret: secret } = start;
    const mesh = new SocketMesh({ slot, slots, dir, secret }, clock, log);
    const instances = new InstanceMap(start.instances?.view);
    const others = await openShared(config, instances, env);
    const hubSlot = (): number | undefined => ownership.ownerOf(MASTER_ACCOUNT_ID)?.slot;
    const marketData = buildMarketData(start, env, { mesh, hubSlot, shared: others.quotes });
    const marks = new TableMarks(marketData.door);
    const fence = new GrantFence(clock);
    if (start.instances !== undefined) fence.renew(start.instances.lease);
    const admin = new PrimaryAdminDoor((message) => env.send(message), clock);
    const tellTradingState = instances.isAlone ? undefined : tellerOf(admin);
    const base = { config, slot, clock, log, meter, tracer, marks, fence, crash: env.crash };
    const trading = await Trading.open({ ...base, tellTradingState });
    const { desk } = trading;
    desk.refuseOrders(start.orderIdsRefusal);
    const local = new LocalAccounts(desk, () => ownership.changed());
    const reports = new SessionReports(mesh);
    const configured = (): ReadonlySet<AccountId> => settings.configured;
    const isElsewhere = (accountId: AccountId): boolean => instances.placeOf(accountId).kind !== 'here';
    const known = { ownership, reports, configured, isElsewhere };
    const namespace = (): string => namespaceIn(settings.config.orders);
    const router = new MeshRouter({ mesh, local, ...known, namespace, clock, meter, tracer });
    const events = new MeshOrderEvents({ mesh, desk, local, ...known, clock, ...others });
    const verifier = await JwtVerifier.open(config.auth, { clock, log });
    const jitter = (): number => systemEntropy.next();
    const ownedParts = { config, fence, trading, marketData, local, reports, clock, log, jitter };
    const owned = new OwnedAccounts({ ...ownedParts, ...others, onNamed: namerOf(env) });
    const edge = { verifier, router, clock, log, meter, tracer };
    const streams = new StreamEdge({ ...edge, feed: marketData.feed, events, config: config.streams });
    const http = createHttpEdge({
      ...{ ...edge, admin, config: edgeConfig(settings) },
      marketData: marketData.door,
      newKey: () => uuidV7(clock.now(), systemEntropy),
      ...(others.elsewhere !== undefined && { elsewhere: others.elsewhere }),
      ...(others.limits !== undefined && { sharedLimiter: others.limits.limiter }),
      metrics: async () => ({ contentType: EXPOSITION_TYPE, body: await metricsOf(admin) }),
      asyncApi: asyncApiDocument('1'),
      onUpgrade: (req, socket, head, caller) => streams.handleUpgrade(req, socket, head, caller),
    });
    marketData.start();
    await mesh.start();
    const parts = { mesh, marketData, trading, local, reports, ownership, owned, verifier, router, http, streams };
    return new WorkerParts(start, env, { ...parts, admin, settings, fence, instances, others });
  }

  /**
   * Opens the door when every account may trade, and resolves when each has been tried.
   * @param socket bound by the primary, shared with the other workers
   */
  async open(socket: unknown): Promise<void> {
    const { owned, http, marketData } = this.built;
    await owned.open(this.start.grants, async () => {
      // `listen(undefined)` would take any port. The socket is closed when the gateway stops.
      if (socket === undefined) throw new GatewayError('CALL_CANCELED', {}, { message: 'the gateway is stopping' });
      await new Promise<void>((resolve, reject) => {
        http.server.once('error', reject);
        http.server.listen(socket, () => resolve());
      });
    });
    marketData.beginThreads();
  }

  async handle(message: Exclude<PrimaryMessage, { readonly kind: 'start' | 'rehearse' }>): Promise<void> {
    const { ownership, owned } = this.built;
    switch (message.kind) {
      case 'grant':
        await owned.open(message.grants);
        return;
      case 'rotate':
        this.env.send({ kind: 'collected', id: message.id, payload: await owned.rotate(message.grants) });
        return;
      case 'release': {
        const assignments = await owned.release(message.accountIds, message.deadlineMs, this.start.slot);
        this.env.send({ kind: 'released', assignments });
        return;
      }
      case 'ownership':
        ownership.apply(message.table);
        return;
      case 'lease':
        this.built.fence.renew(message);
        return;
      case 'refuse-account':
        await owned.refuse(message.accountId, message.sameAs);
        return;
      case 'order-ids':
        this.built.trading.desk.refuseOrders(message.refusal);
        return;
      case 'instances':
        this.built.instances.apply(message.view);
        return;
      case 'ping':
        this.env.send({ kind: 'pong', sentAt: message.sentAt, sessions: owned.counts() });
        this.#publishReports();
        this.env.send({ kind: 'metrics', families: await this.env.meter.snapshot() });
        return;
      case 'drain':
        await this.drain(message.deadlineMs).then(() => this.env.send({ kind: 'drained' }));
        return;
      case 'collect':
        this.env.send({ kind: 'collected', id: message.id, payload: this.#report() });
        return;
      case 'execute': {
        const { answer } = await this.built.router.execute(message.request, message.context);
        this.env.send({ kind: 'collected', id: message.id, payload: answer });
        return;
      }
      case 'profile': {
        const payload = await this.#profiler.take(message.what, message.seconds);
        this.env.send({ kind: 'collected', id: message.id, payload });
        return;
      }
      case 'reload':
        await this.#reload(message);
        return;
      case 'admin-answered':
        this.#admin.answered(message.id, message.answer);
        return;
      case 'readiness':
        this.#admin.heardReadiness({ ready: message.ready, reasons: message.reasons });
    }
  }

  async drain(deadlineMs: number): Promise<void> {
    const { http, streams, owned, marketData, mesh, trading } = this.built;
    streams.drain();
    await http.close({ deadlineMs: deadlineMs * CLOSE_SHARE });
    await streams.close();
    await owned.closeAll(deadlineMs * (1 - CLOSE_SHARE));
    await marketData.close();
    await trading.close(deadlineMs * (1 - CLOSE_SHARE));
    await mesh.close();
    await this.built.others.elsewhere?.close();
    await this.built.others.shared?.close();
    this.built.others.quotes?.close();
    this.built.others.limits?.close();
  }

  #publishReports(): void {
    const now = this.env.clock.monotonicMs();
    if (now - this.#publishedAt < PUBLISH_EVERY_MS) return;
    this.#publishedAt = now;
    this.built.reports.publishChanged(this.built.owned.reports());
  }

  #report(): WorkerReport {
    const { marketData, owned } = this.built;
    const { slot } = this.start;
    return { slot, pid: this.env.pid, threads: marketData.threads(), sessions: owned.reports() };
  }

  /** All that may change while requests are under way; the first that refuses leaves the rest as it was. */
  async #reload(message: Extract<PrimaryMessage, { readonly kind: 'reload' }>): Promise<void> {
    const { verifier, trading, settings, reports, http } = this.built;
    const config = message.config as GatewayConfig;
    try {
      await verifier.reconfigure(config.auth);
      trading.desk.reload({ orders: config.orders, risk: config.risk });
      this.env.log.setLevel(config.log.level);
      http.reloadTls(config.server.tls);
      settings.config = config;
      settings.configured = configuredOf(config);
      reports.keepOnly(settings.configured);
      this.env.send({ kind: 'reloaded', id: message.id });
    } catch (cause) {
      this.env.send({ kind: 'reloaded', id: message.id, error: String(cause) });
    }
  }
}

/** The other instances hear of it through the primary. */
function tellerOf(admin: PrimaryAdminDoor): NonNullable<DeskPorts['tellTradingState']> {
  return async (accountId, state) => {
    const answer = await admin.execute({ action: 'share-trading-state', accountId, ...state });
    return answer.kind === 'answer';
  };
}

/** The primary decides whether two account ids reach one brokerage account. */
function namerOf(env: WorkerEnvironment): NonNullable<OwnedAccountsParts['onNamed']> {
  return (accountId, { id, number }) => env.send({ kind: 'named', accountId, number: number === '' ? id : number });
}

function configuredOf(config: GatewayConfig): ReadonlySet<AccountId> {
  return new Set(config.tradingAccounts.map(({ accountId }) => accountId));
}

function buildMarketData(
  start: StartMessage,
  env: WorkerEnvironment,
  {
    mesh,
    hubSlot,
    shared,
  }: {
    readonly mesh: SocketMesh;
    readonly hubSlot: () => number | undefined;
    readonly shared: Shared['quotes'];
  },
): MarketData {
  const config = start.config as GatewayConfig;
  const { marketData, alpaca, cluster } = config;
  const { sharedMemoryDir: base, tableSizeMb: sizeMb } = marketData;
  return new MarketData({
    settings: { ...alpaca, ...marketData, threads: cluster.threads },
    tableDirectory: tableDirectory({ base, instanceId: cluster.instanceId, bootPid: start.bootPid, sizeMb }),
    ...{ mesh, clock: env.clock, log: env.log, meter: env.meter, tracer: env.tracer, hubSlot },
    ...(shared !== undefined && { shared }),
    jitter: () => systemEntropy.next(),
    threadsEntry: env.threadsEntry,
    runTask: env.runTask,
  });
}

/** Listeners and limits as they were at the start; what concerns orders as it is now. */
function edgeConfig(settings: { readonly config: GatewayConfig }): EdgeConfig {
  const { server, limits, cluster } = settings.config;
  return {
    ...{ server, limits, cluster },
    get orders() {
      return settings.config.orders;
    },
  };
}

async function metricsOf(admin: PrimaryAdminDoor): Promise<string> {
  const answer = await admin.execute({ action: 'metrics' });
  if (answer.kind === 'answer') return Buffer.from(answer.body).toString('utf8');
  throw new GatewayError('DEADLINE_EXCEEDED', {}, { message: answer.problem.detail });
}
