/**
 * Opens and closes the accounts that the primary grants. Each opens by itself: a bad key fails its own account, which
 * goes on trying. All are adopted by the desk first, and may trade from then on; then their streams are opened one after
 * the other, so that no update passes unheard.
 */
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import type { SessionReport } from '../../kernel/domain/account-request.js';
import { MASTER_ACCOUNT_ID, type AccountId } from '../../kernel/domain/identifiers.js';
import type { AccountGrant, KeyRotation } from '../../kernel/ipc/control.js';
import type { Assignment } from '../../kernel/ipc/ownership.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { AccountSession, BrokerAccount } from '../accounts/account-session.js';
import type { BrokerSession } from '../accounts/broker-session.js';
import { NOT_NAMED } from '../orders/journaled-order-desk.js';
import { openStaggered } from '../accounts/session-opener.js';
import type { MarketData } from '../market-data/market-data.js';
import type { LocalAccounts } from '../routing/local-accounts.js';
import { within } from '../routing/resumed-events.js';
import type { SharedEvents } from '../routing/shared-events.js';
import type { SessionReports } from '../routing/session-reports.js';
import type { GrantFence } from './grant-fence.js';
import { toldBefore, type ToldElsewhere } from './told-before.js';
import type { Trading } from './trading.js';

export interface OwnedAccountsParts {
  readonly config: GatewayConfig;
  readonly fence: GrantFence;
  readonly trading: Trading;
  readonly marketData: MarketData;
  readonly local: LocalAccounts;
  readonly reports: SessionReports;
  readonly clock: Clock;
  readonly log: Log;
  readonly jitter: () => number;
  /** The broker has named the account behind an account id. */
  readonly onNamed?: (accountId: AccountId, account: BrokerAccount) => void;
  /** Only where several instances share the accounts. */
  readonly shared?: SharedEvents;
}

interface Adopted {
  readonly grant: AccountGrant;
  readonly session: BrokerSession;
  /** Since when it may have traded while its stream was not heard: an account without any event has no other mark. */
  readonly sinceMs: number;
}

/** An account that the broker does not answer is no reason to keep the others waiting for `ready`. */
const TRIED_WITHIN_MS = 15_000;
const STAGGER_MS = 5;
/** Each is a commit of the journal, which takes many at once. */
const ADOPTED_AT_ONCE = 64;
const SHARED_EVENTS_MS = 1_000;
/** An order of an account without any event is looked for so far back. */
const HEARD_MS_MAX = 86_400_000;

export class OwnedAccounts {
  readonly #grants = new Map<AccountId, AccountGrant>();
  readonly #sessions = new Map<AccountId, BrokerSession>();
  readonly #rotating = new Map<AccountId, Promise<KeyRotation['outcome']>>();

  constructor(private readonly parts: OwnedAccountsParts) {}

  /**
   * Resolves when each account has been tried once. `onAdopted` is called when all may trade: their streams, and what is
   * known of them without asking the broker, come after.
   */
  async open(grants: readonly AccountGrant[], onAdopted?: () => Promise<void>): Promise<void> {
    const { trading, marketData, config, clock, jitter } = this.parts;
    const mine = grants.filter(({ accountId }) => accountId !== MASTER_ACCOUNT_ID);
    const master = grants.find(({ accountId }) => accountId === MASTER_ACCOUNT_ID);
    for (const grant of grants) {
      this.#grants.set(grant.accountId, grant);
      this.parts.fence.grant(grant);
    }
    if (master !== undefined) marketData.becomeHub(trading.upstreams(master));
    // Nobody waits for a door that is open already.
    const warmAtOnce = onAdopted === undefined ? trading.warm(mine) : undefined;
    const adopted: Adopted[] = [];
    const waiting: Promise<void>[] = [];
    const adopt = async (grant: AccountGrant): Promise<void> => {
      const session = this.#sessionFor(grant);
      if (session === undefined) return;
      if (trading.isProven(session)) {
        if (await this.#adopt(grant, session)) adopted.push({ grant, session, sinceMs: clock.now() });
      } else waiting.push(this.#openWhenNamed(grant, session));
    };
    await openStaggered(mine, adopt, { concurrency: ADOPTED_AT_ONCE, staggerMs: 0 }, { clock, jitter });
    await onAdopted?.();
    const warm = warmAtOnce ?? trading.warm(mine);
    const options = { concurrency: config.alpaca.warmConcurrency, staggerMs: STAGGER_MS };
    await openStaggered(adopted, (one) => this.#start(one), options, { clock, jitter });
    await Promise.all([warm, ...waiting]);
  }

  /** Lets go, and says which epochs ended. */
  async release(accountIds: readonly AccountId[], deadlineMs: number, slot: number): Promise<readonly Assignment[]> {
    const released = await Promise.all(
      accountIds.map(async (accountId) => {
        const epoch = this.#grants.get(accountId)?.epoch ?? 0;
        this.#grants.delete(accountId);
        this.parts.fence.revoke(accountId);
        await this.#closeOne(accountId, deadlineMs);
        return { accountId, slot, epoch };
      }),
    );
    return released;
  }

  /** New keys for accounts that stay: old and new overlap, and no caller notices. A few at a time, as they were opened. */
  async rotate(grants: readonly AccountGrant[]): Promise<readonly KeyRotation[]> {
    const { config, clock, jitter } = this.parts;
    const rotations: KeyRotation[] = [];
    const options = { concurrency: config.alpaca.warmConcurrency, staggerMs: STAGGER_MS };
    const rotate = async (grant: AccountGrant): Promise<void> => {
      // One that outlived its question ends before the next one, which may take it back.
      const before = this.#rotating.get(grant.accountId);
      const outcome = Promise.resolve(before)
        .then(() => this.#rotateOne(grant))
        .catch(() => 'regrant' as const);
      this.#rotating.set(grant.accountId, outcome);
      rotations.push({ accountId: grant.accountId, outcome: await outcome });
    };
    await openStaggered(grants, rotate, options, { clock, jitter });
    return rotations;
  }

  async #rotateOne(grant: AccountGrant): Promise<KeyRotation['outcome']> {
    const { accountId, apiKey, secretKey, paperTrading } = grant;
    const session = this.#sessions.get(accountId);
    const former = this.#grants.get(accountId);
    if (former === undefined) return 'regrant';
    if (former.apiKey === apiKey && former.secretKey === secretKey) return 'rotated';
    // What does not work now has nothing to lose by opening anew.
    if (session?.state() !== 'ready' || former.paperTrading !== paperTrading) return 'regrant';
    const verdict = await this.parts.trading.rotate(session, grant);
    if (verdict === 'other account') return 'regrant';
    if (verdict !== 'same account') return verdict;
    if (this.#grants.get(accountId) !== former) return 'regrant';
    this.#grants.set(accountId, { ...former, apiKey, secretKey });
    return 'rotated';
  }

  /** Another account id of the same brokerage account stands before this one: it stays, failed, and says so. */
  async refuse(accountId: AccountId, sameAs: AccountId): Promise<void> {
    const { trading, log } = this.parts;
    const session = this.#sessions.get(accountId);
    if (session === undefined) return;
    const detail = `The keys of ${accountId} reach the same brokerage account as ${sameAs}, which stands first.`;
    log.error({ accountId, sameAs }, 'two account ids reach one brokerage account: this one is refused');
    await trading.release(accountId, 0);
    trading.desk.refuse(session, detail);
    await session.fail('same-account', detail);
  }

  /** For ever. */
  async closeAll(deadlineMs: number): Promise<void> {
    this.parts.fence.close();
    await this.release([...this.#grants.keys()], deadlineMs, 0);
  }

  /** Accounts by state, the master as what serves market data. */
  counts(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const state of this.parts.local.states()) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }

  reports(): readonly SessionReport[] {
    return this.parts.local.reports();
  }

  /** Not started. Undefined for one that was released before its turn came. */
  #sessionFor(grant: AccountGrant): BrokerSession | undefined {
    if (!this.#isGranted(grant)) return undefined;
    const session = this.parts.trading.session(grant);
    session.onState(() => this.#publish(session));
    session.onBrokerAccount((account) => this.#named(grant, session, account));
    this.#share(grant.accountId, (shared) => shared.opens(grant.accountId, session.keysId));
    return session;
  }

  /** False for one that was released meanwhile, or that could not be adopted. */
  async #adopt(grant: AccountGrant, session: BrokerSession): Promise<boolean> {
    const { trading, local, log } = this.parts;
    try {
      await trading.desk.adopt(session, grant.trading);
      if (!this.#isGranted(grant)) {
        // Granted again meanwhile: the desk is the next session's.
        if (!this.#grants.has(grant.accountId)) await trading.release(grant.accountId, 0);
        await session.close();
        return false;
      }
      this.#sessions.set(grant.accountId, session);
      local.admit(session);
      return true;
    } catch (cause) {
      log.error({ accountId: grant.accountId, cause }, 'account could not be opened');
      return false;
    }
  }

  /**
   * An account whose keys were exchanged is answered for, and nothing of it is shown or sent, until the broker has named
   * the account behind them. Resolves when it has been tried once.
   */
  async #openWhenNamed(grant: AccountGrant, session: BrokerSession): Promise<void> {
    const { trading, local, clock, log } = this.parts;
    const { accountId } = grant;
    log.warn({ accountId }, 'the keys of the account are new: it waits until the broker names their account');
    trading.desk.refuse(session, NOT_NAMED);
    this.#sessions.set(accountId, session);
    local.admit(session);
    const opened = session.identify().then(async (named) => {
      if (named === undefined || !this.#isGranted(grant) || this.#sessions.get(accountId) !== session) return;
      if (await this.#adopt(grant, session)) await this.#start({ grant, session, sinceMs: clock.now() });
    });
    const limit = new AbortController();
    await Promise.race([Promise.all([session.tried, opened]), clock.sleep(TRIED_WITHIN_MS, limit.signal)]);
    limit.abort();
  }

  /** The broker says whose keys these are; under other keys, or to a journal of another account, that is news. */
  #named(grant: AccountGrant, session: BrokerSession, account: BrokerAccount): void {
    const { accountId } = grant;
    const { trading, log } = this.parts;
    this.parts.onNamed?.(accountId, account);
    const { keysId } = session;
    this.#share(accountId, (shared) =>
      shared.named(accountId, { brokerAccountId: account.id, keysId, epoch: grant.epoch }),
    );
    if (this.#sessions.get(accountId) !== session || trading.desk.tenancyOf(session) !== 'another') return;
    if (!trading.desk.has(accountId)) return;
    log.error(
      { accountId },
      'the keys of the account reach another brokerage account than before: nothing of it is inherited',
    );
    void this.#beginAgain(grant);
  }

  /** Best effort: an instance that does not know of it shows what it showed before. */
  #share(accountId: AccountId, publish: (shared: SharedEvents) => Promise<void>): void {
    const { shared, log } = this.parts;
    if (shared === undefined) return;
    publish(shared).catch((cause: unknown) => {
      log.warn({ accountId, cause: String(cause) }, 'the name of the brokerage account is not shared');
    });
  }

  async #beginAgain(grant: AccountGrant): Promise<void> {
    await this.#closeOne(grant.accountId, 0);
    const session = this.#sessionFor(grant);
    if (session !== undefined) await this.#openWhenNamed(grant, session);
  }

  async #start({ grant, session, sinceMs }: Adopted): Promise<void> {
    const { trading, local, reports, clock, log } = this.parts;
    try {
      const elsewhere = await this.#toldElsewhere(grant);
      if (!this.#isGranted(grant)) return;
      session.start(toldBefore(trading.desk, grant.accountId, { heardSince: sinceMs, ...elsewhere }));
      const limit = new AbortController();
      await Promise.race([session.tried, clock.sleep(TRIED_WITHIN_MS, limit.signal)]);
      limit.abort();
      reports.publish(local.reports().filter(({ accountId }) => accountId === grant.accountId));
    } catch (cause) {
      log.error({ accountId: grant.accountId, cause }, 'the trade stream of an account could not be opened');
    }
  }

  #isGranted(grant: AccountGrant): boolean {
    return this.#grants.get(grant.accountId) === grant;
  }

  /** Without it gap repair may tell again what another instance told: never less. */
  async #toldElsewhere({ accountId, lease }: AccountGrant): Promise<ToldElsewhere> {
    const { shared, clock, log } = this.parts;
    if (shared === undefined || lease === undefined) return { events: [] };
    const asked = Promise.all([shared.after(accountId, { epoch: 0, seq: 0 }), shared.heldSince(accountId)]);
    return within(asked, SHARED_EVENTS_MS, clock).then(
      ([events, since]) => ({
        events,
        ...(since !== undefined && { heardSince: Math.max(since, clock.now() - HEARD_MS_MAX) }),
      }),
      (cause: unknown) => {
        log.warn({ accountId, cause: String(cause) }, 'what other instances told is not known');
        return { events: [] };
      },
    );
  }

  #publish(session: AccountSession): void {
    const { local, reports } = this.parts;
    if (!local.has(session.accountId)) return;
    reports.publish(local.reports().filter(({ accountId }) => accountId === session.accountId));
  }

  async #closeOne(accountId: AccountId, deadlineMs: number): Promise<void> {
    const { trading, marketData, local, clock } = this.parts;
    if (accountId === MASTER_ACCOUNT_ID) {
      await marketData.resignHub();
      return;
    }
    this.#sessions.delete(accountId);
    const session = local.dismiss(accountId);
    await trading.release(accountId, deadlineMs);
    if (session === undefined) return;
    // What reads it has asked for its answer before the account left.
    const limit = new AbortController();
    await Promise.race([local.quiet(session), clock.sleep(deadlineMs, limit.signal)]);
    limit.abort();
    await session.close({ deadlineMs });
  }
}
