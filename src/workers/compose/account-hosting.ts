/**
 * The accounts that the primary granted to this worker: opens their sessions, hands them to the desk and the router,
 * and lets go of them in the reverse order. Nothing is sent for an account that is not granted now.
 */
import type { AlpacaConfig } from '../../kernel/config/gateway-config.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { AccountGrant } from '../../kernel/ipc/control.js';
import type { Assignment } from '../../kernel/ipc/ownership.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { BrokerSession } from '../accounts/broker-session.js';
import { openStaggered } from '../accounts/session-opener.js';
import type { Fence } from '../orders/ports.js';
import type { OrderDesk } from '../orders/order-desk.js';
import type { LocalAccounts } from '../routing/local-accounts.js';
import type { BrokerPools } from './broker-pools.js';
import { toldBefore } from './told-before.js';

export interface HostingParts {
  readonly alpaca: AlpacaConfig;
  readonly pools: BrokerPools;
  readonly desk: OrderDesk;
  readonly local: LocalAccounts;
  readonly watchingSince: string;
  /** A session's state or report changed: peers should hear of it soon. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly jitter: () => number;
}

const STREAM = { openTimeoutMs: 10_000, pingIntervalMs: 5_000, backOffMinMs: 250, backOffMaxMs: 30_000 } as const;
const IN_FLIGHT_MAX = 16;
const WAITING_MAX = 500;
/** Sessions open one after the other within each lane; this much of a delay keeps lanes from marching in step. */
const STAGGER_MS = 5;

export class AccountHosting implements Fence {
  readonly #granted = new Map<AccountId, AccountGrant>();
  readonly #sessions = new Map<AccountId, BrokerSession>();

  constructor(private readonly parts: HostingParts) {}

  holds(accountId: AccountId): boolean {
    return this.#granted.has(accountId);
  }

  grants(): readonly AccountGrant[] {
    return [...this.#granted.values()];
  }

  /** Resolves when each has been tried once. One that is refused goes on trying and holds nobody up. */
  async open(grants: readonly AccountGrant[]): Promise<void> {
    const { alpaca, clock, jitter } = this.parts;
    const options = { concurrency: alpaca.warmConcurrency, staggerMs: STAGGER_MS };
    await openStaggered(grants, (grant) => this.#openOne(grant), options, { clock, jitter });
  }

  /** New keys, same owner: the account waits for a moment, nobody else does. */
  async rotate(grants: readonly AccountGrant[], deadlineMs: number): Promise<void> {
    const changed = grants.filter((grant) => {
      const held = this.#granted.get(grant.accountId);
      return held !== undefined && (held.apiKey !== grant.apiKey || held.secretKey !== grant.secretKey);
    });
    await Promise.all(changed.map(({ accountId }) => this.#closeOne(accountId, deadlineMs)));
    await this.open(changed);
  }

  /** What is in flight is finished first, within the deadline. */
  async close(accountIds: readonly AccountId[], deadlineMs: number): Promise<readonly Assignment[]> {
    const held = accountIds.filter((accountId) => this.#granted.has(accountId));
    const epochs = held.map((accountId) => this.#granted.get(accountId)?.epoch ?? 0);
    await Promise.all(held.map((accountId) => this.#closeOne(accountId, deadlineMs)));
    return held.map((accountId, n) => ({ accountId, slot: -1, epoch: epochs[n] ?? 0 }));
  }

  async closeAll(deadlineMs: number): Promise<void> {
    await this.close([...this.#granted.keys()], deadlineMs);
  }

  async #openOne(grant: AccountGrant): Promise<void> {
    const { accountId, epoch, paperTrading } = grant;
    if (this.#granted.has(accountId)) return;
    const { alpaca, pools, desk, local, clock, log, meter, jitter, onChange } = this.parts;
    this.#granted.set(accountId, grant);
    const keys = { keyId: grant.apiKey, secretKey: grant.secretKey };
    const session = new BrokerSession(
      {
        accountId,
        epoch,
        keys,
        stream: { ...STREAM, url: pools.tradingStreamUrl(paperTrading) },
        budget: { limitPerMinute: alpaca.rateLimitPerMinute, inFlightMax: IN_FLIGHT_MAX, waitingMax: WAITING_MAX },
      },
      { wire: pools.wire(pools.tradingOrigin(paperTrading), keys), clock, log, meter, jitter },
    );
    this.#sessions.set(accountId, session);
    session.onState(onChange);
    // The desk listens before the stream speaks, and answers for intents that the broker may not show yet.
    await desk.adopt(session);
    local.admit(session);
    session.start(toldBefore(desk, accountId, this.parts.watchingSince));
    await session.tried;
  }

  async #closeOne(accountId: AccountId, deadlineMs: number): Promise<void> {
    this.parts.local.dismiss(accountId);
    await this.parts.desk.release(accountId, { deadlineMs });
    this.#granted.delete(accountId);
    const session = this.#sessions.get(accountId);
    this.#sessions.delete(accountId);
    await session?.close();
  }
}
