import { expect, test } from '@jest/globals';
import type {
  AccountAnswer,
  AccountRequest,
  CallContext,
  OrderNaming,
} from '../../../src/kernel/domain/account-request.js';
import { GatewayError } from '../../../src/kernel/domain/errors.js';
import { parseAccountId } from '../../../src/kernel/domain/identifiers.js';
import { silentMeter } from '../../../src/kernel/runtime/meter.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import type { AccountSession } from '../../../src/workers/accounts/account-session.js';
import type { OrderDesk } from '../../../src/workers/orders/order-desk.js';
import { LocalAccounts } from '../../../src/workers/routing/local-accounts.js';
import { MeshRouter } from '../../../src/workers/routing/mesh-router.js';
import { OwnershipView } from '../../../src/workers/routing/ownership-view.js';
import { SessionReports } from '../../../src/workers/routing/session-reports.js';
import { MemoryNetwork } from '../../support/memory-mesh.js';

const account = parseAccountId('account_001');
const context: CallContext = { requestId: 'r', subject: 's', budgetMs: 5_000 };
const read: AccountRequest = {
  kind: 'read',
  accountId: account,
  read: { resource: 'account' },
  freshness: { fresh: false },
};
const order = (more: object = {}): AccountRequest => ({
  kind: 'submit-order',
  accountId: account,
  assetClass: 'stocks',
  order: { symbol: 'AAPL' },
  dryRun: false,
  ...more,
});

interface Fakes {
  readonly execute?: OrderDesk['execute'];
  readonly lookup?: OrderDesk['lookup'];
}

function aWorker(network: MemoryNetwork, slot: number, fakes: Fakes = {}) {
  const mesh = network.join(slot);
  const ownership = new OwnershipView();
  const desk = {
    execute: fakes.execute ?? (() => Promise.resolve(answerOf('desk', slot))),
    lookup: fakes.lookup ?? (() => undefined),
    tradingState: () => 'ACTIVE',
    openUnknown: () => 0,
    oldestUnknownMs: () => undefined,
  } as unknown as OrderDesk;
  const local = new LocalAccounts(desk, () => ownership.changed());
  const clock = new SystemClock();
  const reports = new SessionReports(mesh);
  const configured = (): ReadonlySet<typeof account> => new Set([account]);
  const router = new MeshRouter({
    mesh,
    local,
    ownership,
    reports,
    configured,
    namespace: () => 'test',
    clock,
    meter: silentMeter,
  });
  return { router, local, ownership, reports };
}

function answerOf(name: string, slot: number): AccountAnswer {
  return { kind: 'answer', status: 200, headers: { name }, body: Buffer.from([0, 255, slot]) };
}

function aSession(slot: number): AccountSession {
  const report = () => ({ accountId: account, state: 'ready', streamConnected: true });
  return {
    accountId: account,
    read: () => Promise.resolve(answerOf('session', slot)),
    report,
  } as unknown as AccountSession;
}

function namingOf(request: AccountRequest): OrderNaming {
  const { idempotencyKey, sentBefore } = request as OrderNaming;
  return { ...(idempotencyKey && { idempotencyKey }), ...(sentBefore && { sentBefore }) };
}

const owned = (slot: number, version = 1) => ({ version, assignments: [{ accountId: account, slot, epoch: version }] });

test('a request to an account of this worker is run here', async () => {
  const mine = aWorker(new MemoryNetwork(), 0);
  mine.local.admit(aSession(0));

  expect(await mine.router.execute(read, context)).toMatchObject({ answer: answerOf('session', 0), meshMs: 0 });
});

test("a request to another worker's account comes back with its bytes untouched", async () => {
  const network = new MemoryNetwork();
  const [asking, owning] = [aWorker(network, 0), aWorker(network, 1)];
  owning.local.admit(aSession(1));
  asking.ownership.apply(owned(1));

  const { answer } = await asking.router.execute(read, context);
  expect(answer).toMatchObject(answerOf('session', 1));
});

test('callers wait while the owner is replaced, and a read is asked again', async () => {
  const network = new MemoryNetwork();
  const asking = aWorker(network, 0);
  asking.ownership.apply(owned(1));
  const waiting = asking.router.execute(read, context);

  const owning = aWorker(network, 1);
  owning.local.admit(aSession(1));
  expect((await waiting).answer).toMatchObject(answerOf('session', 1));
});

test('callers wait no longer than they can, and are told that nothing was sent', async () => {
  const asking = aWorker(new MemoryNetwork(), 0);
  const { answer } = await asking.router.execute(order(), { ...context, budgetMs: 30 });
  expect(answer).toMatchObject({ kind: 'problem', problem: { code: 'owner-unavailable', retryAfterS: 1 } });
});

test('an order whose owner died is repeated at its successor under the same key, never without one', async () => {
  const network = new MemoryNetwork();
  const asking = aWorker(network, 0);
  const seen: unknown[] = [];
  const dying = aWorker(network, 1, {
    execute: (request) => {
      seen.push(namingOf(request));
      network.kill(1);
      return Promise.reject(new GatewayError('PEER_GONE'));
    },
  });
  dying.local.admit(aSession(1));
  asking.ownership.apply(owned(1));
  const waiting = asking.router.execute(order({ idempotencyKey: 'key-1', sentBefore: 'never' }), context);
  await new Promise(setImmediate);

  const next = aWorker(network, 2, {
    execute: (request) => {
      seen.push(namingOf(request));
      return Promise.resolve(answerOf('desk', 2));
    },
  });
  next.local.admit(aSession(2));
  asking.ownership.apply(owned(2, 2));

  expect((await waiting).answer).toMatchObject(answerOf('desk', 2));
  // The next owner has the journal of the one before: only the first of them may say by itself that nothing was sent.
  expect(seen).toEqual([{ idempotencyKey: 'key-1', sentBefore: 'never' }, { idempotencyKey: 'key-1' }]);
});

test('an owner that has not read the journal yet cannot say that nothing was sent', async () => {
  const network = new MemoryNetwork();
  const asking = aWorker(network, 0);
  const dying = aWorker(network, 1, {
    execute: () => {
      network.kill(1);
      return Promise.reject(new GatewayError('PEER_GONE'));
    },
  });
  dying.local.admit(aSession(1));
  asking.ownership.apply(owned(1));
  const waiting = asking.router.execute(order({ idempotencyKey: 'key-1' }), { ...context, budgetMs: 400 });
  await new Promise(setImmediate);

  const problem = { code: 'account-unavailable', detail: 'not adopted yet' } as const;
  const next = aWorker(network, 2, { execute: () => Promise.resolve({ kind: 'problem', problem }) });
  next.local.admit(aSession(2));
  asking.ownership.apply(owned(2, 2));

  expect((await waiting).answer).toMatchObject({ kind: 'answer', status: 202 });
});

test("a caller's own client order id is its key and is left alone", async () => {
  const network = new MemoryNetwork();
  const asking = aWorker(network, 0);
  const seen: AccountRequest[] = [];
  const owning = aWorker(network, 1, {
    execute: (request) => {
      seen.push(request);
      return Promise.resolve(answerOf('desk', 1));
    },
  });
  owning.local.admit(aSession(1));
  asking.ownership.apply(owned(1));
  const request = order({ order: { symbol: 'AAPL', client_order_id: 'mine' } });
  await asking.router.execute(request, context);

  expect(seen).toEqual([request]);
});

test('a lookup by client order id asks the desk before the broker', async () => {
  const held = answerOf('held', 9);
  const mine = aWorker(new MemoryNetwork(), 0, { lookup: () => held });
  mine.local.admit(aSession(0));
  const byId = { resource: 'order-by-client-order-id', clientOrderId: 'x' } as const;

  expect((await mine.router.execute({ ...read, read: byId }, context)).answer).toBe(held);
});

test('an older ownership table never replaces a newer one', () => {
  const view = new OwnershipView();
  view.apply(owned(3, 5));
  view.apply(owned(1, 4));
  expect(view.ownerOf(account)?.slot).toBe(3);
});

test('reports of owners reach every worker and tell each change of state once', async () => {
  const network = new MemoryNetwork();
  const [asking, owning] = [aWorker(network, 0), aWorker(network, 1)];
  const states: unknown[] = [];
  asking.reports.onState((id, state) => states.push([id, state]));
  owning.local.admit(aSession(1));
  for (let beat = 0; beat < 2; beat += 1) owning.reports.publish(owning.local.reports());
  await new Promise(setImmediate);

  expect(asking.router.report(account)).toMatchObject({ state: 'ready', tradingState: 'ACTIVE' });
  expect(states).toEqual([[account, 'ready']]);
});
