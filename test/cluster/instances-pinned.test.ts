/**
 * Two gateways that each believe they own everything: the pinned list of each names only itself. I1 of
 * docs/order-protocol.md must hold with no lease at all, and pinned instances trade on without a Redis.
 */
import { expect, test } from '@jest/globals';
import { startInstances } from '../support/instances.js';
import { OrderLoad } from '../support/order-load.js';
import { callerOf } from '../support/gateway-orders.js';
import { hasRedis } from '../support/redis-process.js';

const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: '1.00' };
const whenRedis = hasRedis() ? test : test.skip;

whenRedis(
  'I1: two instances that both own every account place each order once',
  async () => {
    const instances = await startInstances(['alpha', 'beta'], {
      accounts: 4,
      redisOf: (name) => ({ mode: 'pinned', instances: [{ instance_id: name, url: 'http://127.0.0.1:1' }] }),
    });
    try {
      // There is nothing for it to do.
      await instances.redis.stop();
      const [alpha, beta] = instances.gateways;
      if (alpha === undefined || beta === undefined) throw new TypeError('two instances');
      const pools = await Promise.all([alpha.pool(), beta.pool()]);
      expect(pools.map(({ accounts }) => accounts.length)).toEqual([4, 4]);

      const load = await OrderLoad.on(alpha);
      const twin = await callerOf(beta);
      load.start(4, 40);
      // Every key of the load is used at the other instance too, as soon as it is seen.
      const used = new Set<string>();
      const deadline = Date.now() + 60_000;
      while (used.size < 40 && Date.now() < deadline) {
        const fresh = load.orders.filter(({ key }) => !used.has(key));
        for (const { key } of fresh) used.add(key);
        await Promise.all(
          fresh.map(({ key, accountId, price }) =>
            twin(
              'POST',
              `/accounts/${accountId}/orders/stocks`,
              { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: price },
              { 'idempotency-key': key },
            ),
          ),
        );
        await new Promise((resolve) => setImmediate(resolve));
      }
      await load.finish();
      const verdict = await load.judge();

      expect(verdict.orders).toBe(40);
      expect(verdict.atBroker).toBe(40);
      expect(verdict.duplicates).toEqual([]);
      expect(verdict.lost).toEqual([]);
      expect(verdict.lies).toEqual([]);
      const answers = [
        await twin('POST', '/admin/halt', { reason: 'a test' }),
        await twin('POST', '/accounts/account_001/orders/stocks', ORDER),
      ];
      expect(answers.map(({ json }) => json['code'])).toEqual(['account-unavailable', 'trading-halted']);
      expect(answers[0]?.json['detail']).toContain('the other instances are not told');
      // Both did send: otherwise this proves nothing.
      expect((await instances.sent()).length).toBeGreaterThan(40);
    } finally {
      await instances.stop();
    }
  },
  120_000,
);
