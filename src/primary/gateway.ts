/**
 * The primary's state and what an operator may do with it: pool, trading states, reload, restart, readiness, metrics.
 * Speaks to no broker and serves no client.
 */
import type { AuditLog } from '../kernel/audit/audit-log.js';
import type {
  AccountAnswer,
  AccountRequest,
  SharedTradingState,
  TradingState,
} from '../kernel/domain/account-request.js';
import { GatewayError } from '../kernel/domain/errors.js';
import { MASTER_ACCOUNT_ID, type AccountId } from '../kernel/domain/identifiers.js';
import type { AdminRequest, WorkerMessage, WorkerReport } from '../kernel/ipc/control.js';
import type { Clock } from '../kernel/runtime/clock.js';
import type { LeveledLog } from '../kernel/telemetry/bunyan-log.js';
import type { MetricFamily, MetricSum } from '../kernel/telemetry/metric-sum.js';
import type { PromMeter } from '../kernel/telemetry/prom-meter.js';
import { accountOf, json, problem } from './answers.js';
import type { AssignmentTable } from './assignment.js';
import { BrokerAccounts } from './broker-accounts.js';
import type { InstanceLeases } from './leases/instance-leases.js';
import type { SharedFacts } from './leases/shared-facts.js';
import type { Alert, AlertBoard } from './notifications/alert-board.js';
import { clockOffsetOf, type InstanceView } from './notifications/conditions.js';
import type { Reloader } from './reload.js';
import { gaugeAccounts } from './status/account-gauges.js';
import { LatencyWindow } from './status/latency-window.js';
import type { Supervisor } from './supervisor.js';
import type { WorkerProcess } from './worker-process.js';

interface Reported {
  readonly slot: number;
  readonly one: WorkerProcess;
  readonly report: WorkerReport | undefined;
}

type ProfileRequest = Extract<AdminRequest, { readonly action: 'profile' }>;

export interface GatewayParts {
  readonly table: AssignmentTable;
  readonly audit: AuditLog;
  readonly metrics: MetricSum;
  readonly meter: PromMeter;
  readonly clock: Clock;
  readonly log: LeveledLog;
  readonly board: AlertBoard;
  /** Only where several instances share the accounts. */
  readonly leases: InstanceLeases | undefined;
  readonly facts: SharedFacts | undefined;
}

const COLLECT_MS = 1_000;
/** A lease that was lost is an event: it is told as long as somebody may be looking. */
const LOST_SHOWN_MS = 60_000;
const EXECUTE_MS = 10_000;
const NOT_TOLD = 'the other instances are not told yet: the store does not answer, or there is none; ask each of them';

export class Gateway {
  #supervisor: Supervisor | undefined;
  readonly #latency: LatencyWindow;
  #lost = { count: 0, at: -Infinity };
  readonly brokerAccounts: BrokerAccounts;
  #orderIdsRefusal: string | undefined;

  constructor(
    private readonly parts: GatewayParts,
    readonly reloader: Reloader,
  ) {
    this.#latency = new LatencyWindow(parts.clock);
    const isLeased = reloader.grants.config.cluster.redis?.mode === 'lease';
    if (isLeased) this.#orderIdsRefusal = 'the id key of the other instances is not known yet';
    this.brokerAccounts = new BrokerAccounts({
      configured: () => reloader.grants.config.tradingAccounts.map(({ accountId }) => accountId),
      refuse: (accountId, sameAs) => this.#ownerOf(accountId)?.send({ kind: 'refuse-account', accountId, sameAs }),
      allow: (accountId) => {
        reloader.openAgain(accountId).catch((cause: unknown) => {
          parts.log.error({ accountId, cause }, 'an account that was refused could not be opened again');
        });
      },
    });
  }

  /** Why no order may be placed now; undefined when it may. */
  get orderIdsRefusal(): string | undefined {
    return this.#orderIdsRefusal;
  }

  /** The other instances derive client order ids from another secret: here no order is placed until they agree. */
  otherNamespace(fingerprint: string | undefined): void {
    const refusal =
      fingerprint === undefined
        ? undefined
        : `orders.id_key_file differs from that of the other instances (fingerprint ${fingerprint}).`;
    if (refusal === this.#orderIdsRefusal) return;
    this.#orderIdsRefusal = refusal;
    if (refusal !== undefined)
      this.parts.log.error({ fingerprint }, 'no order is placed: other instances use another id key');
    this.supervisor?.broadcast({ kind: 'order-ids', ...(refusal !== undefined && { refusal }) });
  }

  #ownerOf(accountId: AccountId): WorkerProcess | undefined {
    const slot = this.parts.table.ownership().get(accountId);
    return slot === undefined ? undefined : this.supervisor?.active().get(slot);
  }

  get supervisor(): Supervisor | undefined {
    return this.#supervisor;
  }

  /** It is built after the gateway, which hears its workers. */
  supervise(supervisor: Supervisor): void {
    this.#supervisor = supervisor;
    this.reloader.supervisor = supervisor;
  }

  heard(from: WorkerProcess, message: WorkerMessage): void {
    if (message.kind === 'metrics')
      this.parts.metrics.update({ slot: from.slot ?? -1, pid: from.pid }, message.families as readonly MetricFamily[]);
    if (message.kind === 'admin')
      void this.execute(message.request, from.slot).then((answer) =>
        from.send({ kind: 'admin-answered', id: message.id, answer }),
      );
    if (message.kind === 'named') {
      this.brokerAccounts.named(message.accountId, message.number);
      this.parts.facts?.named(message.accountId, message.number);
    }
    if (message.kind === 'pong') from.send({ kind: 'readiness', ...this.readiness() });
  }

  ended(one: WorkerProcess): void {
    if (one.slot !== undefined) this.parts.metrics.retire(one.slot);
  }

  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] } {
    const reasons: string[] = [];
    const { supervisor } = this;
    if (supervisor === undefined) return { ready: false, reasons: ['the gateway is starting'] };
    if (supervisor.isStopping) reasons.push('the gateway is draining');
    const missing = supervisor.missing();
    const active = supervisor.active().size;
    if (active === 0) reasons.push('no worker has been started');
    if (missing.length > 0 && missing.length === active) reasons.push('no worker is ready');
    else {
      const owners = new Set(this.parts.table.ownership().values());
      for (const slot of missing) if (owners.has(slot)) reasons.push(`worker ${slot} is being replaced`);
    }
    reasons.push(...(this.parts.leases?.readiness() ?? []));
    if (this.#orderIdsRefusal !== undefined) reasons.push(`no order is placed: ${this.#orderIdsRefusal}`);
    return { ready: reasons.length === 0, reasons };
  }

  async metricsText(): Promise<string> {
    const { meter, metrics } = this.parts;
    const byState: Record<string, number> = {};
    for (const one of this.supervisor?.active().values() ?? []) {
      for (const [state, count] of Object.entries(one.sessions)) byState[state] = (byState[state] ?? 0) + count;
    }
    for (const state of ['connecting', 'ready', 'degraded', 'reconciling', 'halted', 'failed'])
      meter.gauge('opitios_accounts', byState[state] ?? 0, { state });
    this.parts.leases?.gauge();
    const workers = [...(this.supervisor?.active().values() ?? [])];
    for (const state of ['starting', 'ready', 'leaving'] as const)
      meter.gauge('opitios_workers', workers.filter(({ phase }) => phase === state).length, { state });
    meter.gauge('opitios_workers', this.supervisor?.isSpareWarm === true ? 1 : 0, { state: 'spare' });
    metrics.update({ slot: 'primary', pid: process.pid }, await meter.snapshot());
    return metrics.text();
  }

  /** Never rejects for an expected reason. */
  async execute(request: AdminRequest, askedSlot?: number): Promise<AccountAnswer> {
    switch (request.action) {
      case 'pool':
        return json(await this.#pool());
      case 'status':
        return json(await this.#status());
      case 'metrics':
        return { kind: 'answer', status: 200, headers: {}, body: Buffer.from(await this.metricsText()) };
      case 'reload':
        return this.#reloadAnswer(request.subject);
      case 'trading-state':
        return this.#setAll(request.state, request.reason, request.subject);
      case 'share-trading-state':
        return this.#share(request.accountId, request);
      case 'restart':
        await this.#audited(request.subject, { action: 'rolling-restart' });
        void this.supervisor?.rollingRestart();
        return json({ restarting: true }, 202);
      case 'profile':
        return this.#profile(request, request.worker ?? askedSlot);
    }
  }

  /** A request to one account, carried out at its owner. */
  async executeAt(request: AccountRequest, subject: string): Promise<AccountAnswer> {
    const { leases, clock } = this.parts;
    const isElsewhere = leases?.isHere(request.accountId) === false && this.#isKnown(request.accountId);
    if (isElsewhere && request.kind === 'set-trading-state') {
      const { accountId, state, reason, at = clock.now() } = request;
      return this.#share(accountId, { state, reason, subject, at });
    }
    const worker = this.#ownerOf(request.accountId);
    const isOwned = this.parts.table.ownership().has(request.accountId);
    if (!isOwned || request.accountId === MASTER_ACCOUNT_ID)
      return problem('account-not-found', 'there is no such account');
    if (worker === undefined) return problem('owner-unavailable', 'the owner of the account is being replaced');
    const context = { requestId: `admin-${this.parts.clock.now()}`, subject, budgetMs: EXECUTE_MS - 1_000 };
    try {
      const answer = await worker.ask({ kind: 'execute', request, context }, EXECUTE_MS);
      return answer.kind === 'collected' ? (answer.payload as AccountAnswer) : problem('internal-error', 'no answer');
    } catch {
      return problem('owner-unavailable', 'the owner of the account did not answer');
    }
  }

  /** What another instance was told. @throws GatewayError REFUSED when it is not in force at the worker */
  async putInForce(accountId: AccountId, { state, reason, subject, at }: SharedTradingState): Promise<void> {
    const answer = await this.executeAt({ kind: 'set-trading-state', accountId, state, reason, at }, subject);
    if (answer.kind !== 'answer') throw new GatewayError('REFUSED', { code: answer.problem.code });
  }

  /** Tells the others of it. A state that only some know of is never called done. */
  async #share(accountId: AccountId, { state, reason, subject, at }: SharedTradingState): Promise<AccountAnswer> {
    const told = await this.parts.leases?.share(accountId, { state, reason, subject, at });
    if (told === true) return json({ account_id: accountId, trading_state: state, reason, instances_told: true }, 202);
    return problem('account-unavailable', NOT_TOLD);
  }

  async #reloadAnswer(subject: string): Promise<AccountAnswer> {
    try {
      return json({ reloaded: true, ...(await this.reloader.reload(subject)) });
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      return { kind: 'problem', problem: { code: 'validation-failed', status: 422, detail } };
    }
  }

  async #profile(request: ProfileRequest, slot: number | undefined): Promise<AccountAnswer> {
    const active = this.supervisor?.active();
    const worker = slot === undefined ? active?.values().next().value : active?.get(slot);
    if (worker === undefined) return problem('not-found', 'there is no worker in this slot');
    const { what, seconds, subject } = request;
    await this.#audited(subject, { action: 'profile', what, seconds, slot: worker.slot });
    const answer = await worker
      .ask({ kind: 'profile', what, seconds }, seconds * 1_000 + EXECUTE_MS)
      .catch(() => undefined);
    if (answer?.kind !== 'collected') return problem('owner-unavailable', 'the worker did not answer');
    if (answer.payload === undefined) return problem('request-in-flight', 'a profile is being taken');
    const name = `worker-${worker.slot ?? 0}.${what}profile`;
    const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
    const body = answer.payload as Uint8Array;
    return {
      kind: 'answer',
      status: 200,
      headers: { ...headers, 'content-disposition': `attachment; filename="${name}"` },
      body,
    };
  }

  async #setAll(state: TradingState, reason: string, subject: string): Promise<AccountAnswer> {
    await this.#audited(subject, { action: 'trading-state', state, reason });
    const { leases, clock } = this.parts;
    const at = clock.now();
    const telling = leases?.share('*', { state, reason, subject, at });
    const accountIds = this.reloader.grants.config.tradingAccounts
      .map(({ accountId }) => accountId)
      .filter((accountId) => leases?.isHere(accountId) ?? true);
    const answers = await Promise.all(
      accountIds.map((accountId) =>
        this.executeAt(
          { kind: 'set-trading-state', accountId, state, reason, ...(leases !== undefined && { at }) },
          subject,
        ),
      ),
    );
    const failed = accountIds.filter((_, index) => answers[index]?.kind !== 'answer');
    if (failed.length > 0) return problem('account-unavailable', `not set for ${failed.slice(0, 20).join(', ')}`);
    const told = await telling;
    if (told === false)
      return problem('account-unavailable', `in force for the ${accountIds.length} accounts here; ${NOT_TOLD}`);
    return json({ state, accounts: accountIds.length, ...(told !== undefined && { instances_told: told }) });
  }

  /** What the alerts are judged by. */
  async view(): Promise<InstanceView> {
    const { metrics, meter } = this.parts;
    const accounts = (await this.#reports()).flatMap(({ report }) => report?.sessions ?? []);
    const offsetMs = clockOffsetOf(accounts);
    if (offsetMs !== undefined) meter.gauge('opitios_clock_offset_seconds', offsetMs / 1_000);
    gaugeAccounts(accounts, meter);
    metrics.update({ slot: 'primary', pid: process.pid }, await meter.snapshot());
    const families = new Map(metrics.families().map((family) => [family.name, family]));
    this.#latency.note(families.get('opitios_http_request_seconds'));
    this.#noteLost(families.get('opitios_leases_lost_total')?.samples[0]?.value ?? 0);
    const healthy = families.get('opitios_audit_healthy')?.samples[0]?.value;
    const streams = families.get('opitios_market_data_stream_up')?.samples ?? [];
    return {
      accounts,
      auditHealthy: healthy === undefined ? undefined : healthy > 0,
      isLosingWorkers: this.supervisor?.isTroubled() ?? false,
      leaseTroubles: this.#leaseTroubles(),
      dataStreams: Object.fromEntries(streams.map(({ labels, value }) => [labels['side'] ?? '', value > 0])),
    };
  }

  #noteLost(count: number): void {
    if (count > this.#lost.count) this.#lost = { count, at: this.parts.clock.monotonicMs() };
  }

  #leaseTroubles(): readonly string[] {
    const { leases, clock } = this.parts;
    const troubles = [...(leases?.readiness() ?? [])];
    if (clock.monotonicMs() - this.#lost.at < LOST_SHOWN_MS) troubles.push('another instance took slots of ours');
    return troubles;
  }

  #reports(): Promise<readonly Reported[]> {
    return Promise.all(
      [...(this.supervisor?.active() ?? [])].map(async ([slot, one]) => {
        const report = await one
          .ask({ kind: 'collect', what: 'pool' }, COLLECT_MS)
          .then((answer) => (answer.kind === 'collected' ? (answer.payload as WorkerReport) : undefined))
          .catch(() => undefined);
        return { slot, one, report };
      }),
    );
  }

  async #status(): Promise<unknown> {
    const { metrics, board, clock, table } = this.parts;
    const gauges = metrics.families().filter(({ kind }) => kind === 'gauge');
    const samplesOf = (name: string): MetricFamily['samples'] =>
      gauges.find((family) => family.name === name)?.samples ?? [];
    const pool = await this.#pool();
    const owned = [...table.ownership().keys()].filter((accountId) => accountId !== MASTER_ACCOUNT_ID).length;
    return {
      at: new Date(clock.now()).toISOString(),
      reasons: this.readiness().reasons,
      latency: this.#latency.summary(),
      data_streams: samplesOf('opitios_market_data_stream_up').map(({ labels, value }) => ({
        side: labels['side'] ?? '',
        up: value > 0,
      })),
      client_sockets: samplesOf('opitios_stream_sockets')[0]?.value ?? 0,
      alerts: { firing: board.firing().map(shown), recent: board.recent().map(shown) },
      ...pool,
      // Their worker has not opened them yet, or did not answer: nobody speaks for them now.
      accounts_waiting: owned - pool.accounts.length,
    };
  }

  async #pool(): Promise<Readonly<Record<string, unknown>> & { readonly accounts: readonly unknown[] }> {
    const { leases } = this.parts;
    const workers = await this.#reports();
    return {
      instance_id: this.reloader.grants.config.cluster.instanceId,
      ready: this.readiness().ready,
      workers: workers.map(({ slot, one, report }) => ({
        slot,
        pid: one.pid,
        state: one.phase,
        threads: report?.threads ?? 0,
        accounts: one.sessions,
      })),
      ...(leases !== undefined && { leases: leases.describe() }),
      accounts: workers.flatMap(({ slot, report }) => (report?.sessions ?? []).map((one) => accountOf(one, slot))),
    };
  }

  #isKnown(accountId: AccountId): boolean {
    return this.reloader.grants.config.tradingAccounts.some((account) => account.accountId === accountId);
  }

  #audited(subject: string, facts: Readonly<Record<string, unknown>>): Promise<void> {
    const kind = facts['action'] === 'trading-state' ? 'halt' : 'config-change';
    return this.parts.audit.append({ kind, subject, facts });
  }
}

function shown({ condition, subject, detail, since, resolvedAt }: Alert): unknown {
  return {
    ...{ condition, subject, detail },
    since: new Date(since).toISOString(),
    ...(resolvedAt !== undefined && { resolved_at: new Date(resolvedAt).toISOString() }),
  };
}
