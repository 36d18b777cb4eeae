import { expect, test } from '@jest/globals';
import type { GatewayConfig } from '../../../src/kernel/config/gateway-config.js';
import { parseAccountId, type AccountId } from '../../../src/kernel/domain/identifiers.js';
import type { AccountGrant } from '../../../src/kernel/ipc/control.js';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import { GrantFence } from '../../../src/workers/compose/grant-fence.js';
import { OwnedAccounts, type OwnedAccountsParts } from '../../../src/workers/compose/owned-accounts.js';
import { LocalAccounts } from '../../../src/workers/routing/local-accounts.js';

const accountId = parseAccountId('account_001');
const grant = (epoch: number): AccountGrant => ({ accountId, epoch, apiKey: 'K', secretKey: 'S', paperTrading: true });

function aWorker() {
  const held = { adopt: Promise.resolve(), release: Promise.resolve(), read: Promise.resolve({}) as Promise<unknown> };
  const closed: number[] = [];
  const adopting = aPromise<undefined>();
  const desk = {
    adopt: () => {
      adopting.resolve(undefined);
      return held.adopt;
    },
    tradingState: () => 'ACTIVE',
    openUnknown: () => 0,
    oldestUnknownMs: () => undefined,
    eventsAfter: () => ({ events: [], gaps: [] }),
  };
  const session = ({ epoch }: AccountGrant): object => ({
    accountId,
    epoch,
    tried: Promise.resolve(),
    keysId: 'keys',
    onState: () => () => undefined,
    onBrokerAccount: () => () => undefined,
    start: () => undefined,
    state: () => 'ready',
    report: () => ({ accountId, state: 'ready', streamConnected: true }),
    read: () => held.read,
    close: () => {
      closed.push(epoch);
      return Promise.resolve();
    },
  });
  const trading = { desk, session, isProven: () => true, release: () => held.release, warm: () => Promise.resolve() };
  const local = new LocalAccounts(desk as never, () => undefined);
  const fence = new GrantFence(new SystemClock());
  const parts = {
    config: { alpaca: { warmConcurrency: 1 } } as GatewayConfig,
    reports: { publish: () => undefined },
    clock: new SystemClock(),
    jitter: () => 0,
    log: silentLog,
    ...{ trading, local, fence, marketData: {} },
  } as unknown as OwnedAccountsParts;
  return { owned: new OwnedAccounts(parts), held, closed, fence, local, adopting: adopting.promise };
}

function aPromise<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve };
}

test('the fence holds from the grant until the release begins, not until it ends', async () => {
  const { owned, held, fence } = aWorker();
  const holds = (id: AccountId = accountId): boolean => fence.holds(id);
  expect(holds()).toBe(false);
  await owned.open([grant(1)]);
  expect(holds()).toBe(true);
  const slow = aPromise<undefined>();
  held.release = slow.promise;
  const released = owned.release([accountId], 1_000, 0);
  expect(holds()).toBe(false);
  slow.resolve(undefined);
  expect(await released).toEqual([{ accountId, slot: 0, epoch: 1 }]);
  await owned.open([grant(2)]);
  expect(holds()).toBe(true);
});

test('a process that drains holds nothing and is granted nothing any more', async () => {
  const { owned, fence } = aWorker();
  await owned.open([grant(1)]);
  await owned.closeAll(100);
  expect(fence.holds(accountId)).toBe(false);
  await owned.open([grant(2)]);
  expect(fence.holds(accountId)).toBe(false);
});

test('an account that is released while it opens does not open after all', async () => {
  const { owned, held, closed, local, adopting } = aWorker();
  const slow = aPromise<undefined>();
  held.adopt = slow.promise;
  const opening = owned.open([grant(1)]);
  await adopting;
  await owned.release([accountId], 100, 0);
  slow.resolve(undefined);
  await opening;

  expect(local.has(accountId)).toBe(false);
  expect(closed).toEqual([1]);
});

test('a session is closed only when the reads that run on it have been answered', async () => {
  const { owned, held, closed, local } = aWorker();
  await owned.open([grant(1)]);
  const slow = aPromise<unknown>();
  held.read = slow.promise;
  const read = { kind: 'read', accountId, read: { resource: 'account' }, freshness: { fresh: false } } as const;
  const answer = local.execute(read, { requestId: 'r', subject: 's', budgetMs: 1_000 });
  const released = owned.release([accountId], 5_000, 0);
  await new Promise(setImmediate);
  expect(closed).toEqual([]);
  slow.resolve('answered');
  expect(await answer).toBe('answered');
  await released;
  expect(closed).toEqual([1]);
});
