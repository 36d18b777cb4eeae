import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PERMISSIONS, type Permission } from '../../src/kernel/domain/permissions.js';
import { routeTable } from '../../src/workers/http/routes/table.js';
import type { Route } from '../../src/workers/http/routes/route.js';
import { EdgeFixture, OTHER, OWN, tokenFor } from '../support/http-edge-fixture.js';

let edge: EdgeFixture;
beforeAll(async () => {
  edge = await new EdgeFixture().start();
});
afterAll(() => edge.stop());

const ROUTES = routeTable({ exposeMetrics: true });
const EXAMPLES: Readonly<Record<string, string>> = {
  symbol: 'AAPL',
  option_symbol: 'AAPL250620C00100000',
  order_id: '7b08df51-c1ac-453c-99f9-323a5f075f0d',
  client_order_id: 'c1',
};
const STOCK = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
const BODIES: Readonly<Record<string, object>> = {
  submitStockOrder: STOCK,
  submitOptionOrder: { ...STOCK, symbol: 'AAPL250620C00100000' },
  replaceOrder: { limit_price: '1' },
  replaceOrderByClientOrderId: { limit_price: '1' },
  postStockQuotes: { symbols: ['AAPL'] },
};

function send(route: Route, account: string, token?: string): Promise<Response> {
  const path = route.template.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    name === 'account_id' ? account : (EXAMPLES[name] ?? name),
  );
  const query = new URLSearchParams();
  if (route.query?.['symbols'] !== undefined) query.set('symbols', 'AAPL');
  if (route.name === 'profile') query.set('seconds', '1');
  const body = BODIES[route.name];
  return edge.fetch(`${path}${query.size > 0 ? `?${query.toString()}` : ''}`, {
    method: route.method,
    ...(token === undefined ? {} : { token }),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const guarded = ROUTES.filter((route) => route.permission !== 'none');
const ofAccount = guarded.filter((route) => route.template.includes('{account_id}'));
const cases = guarded.map((route) => [`${route.method} ${route.template}`, route] as const);
const others = (route: Route): Permission[] => PERMISSIONS.filter((one) => one !== route.permission);

test.each(cases)('%s asks for a token and for its own permission', async (_name, route) => {
  const passedOn = edge.passedOn;

  expect((await send(route, OWN)).status).toBe(401);
  for (const permission of others(route))
    expect((await send(route, OWN, tokenFor([permission], '*'))).status).toBe(403);
  expect((await send(route, OWN, tokenFor(others(route), '*'))).status).toBe(403);
  expect(edge.passedOn).toBe(passedOn);
  expect((await send(route, OWN, tokenFor([route.permission as Permission], '*'))).status).toBeLessThan(400);
});

test.each(ofAccount.map((route) => [`${route.method} ${route.template}`, route] as const))(
  '%s answers a foreign and a missing account alike',
  async (_name, route) => {
    const permission = [route.permission as Permission];
    const passedOn = edge.passedOn;

    const bodies = [];
    for (const [account, scope] of [
      [OTHER, [OWN]],
      ['missing', [OWN]],
      ['missing', '*'],
      ['master', '*'],
      ['ACCOUNT_001', [OWN]],
      [OWN, []],
    ] as const) {
      const answer = await send(route, account, tokenFor(permission, scope));
      expect(answer.status).toBe(404);
      bodies.push({ ...((await answer.json()) as object), request_id: '' });
    }
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
    for (const account of ['a%2F..%2Faccount_002', 'a%00', '..%2Faccount_001', 'acc%EF%BC%91']) {
      expect((await send(route, account, tokenFor(permission, '*'))).status).toBe(400);
    }
    expect(edge.passedOn).toBe(passedOn);
    expect((await send(route, OWN, tokenFor(permission, [OWN]))).status).toBeLessThan(400);
  },
);

const SCOPES: readonly (readonly [string, '*' | readonly string[]])[] = [
  ['of its own', [OWN]],
  ['of both', [OWN, OTHER]],
  ['of all', '*'],
  ['of none', []],
];

test.each(ofAccount.map((route) => [`${route.method} ${route.template}`, route] as const))(
  '%s holds for every account, scope and permission',
  async (_name, route) => {
    const holes: string[] = [];
    let passedOn = edge.passedOn;
    for (const account of [OWN, OTHER, 'missing'])
      for (const [name, scope] of SCOPES)
        for (const permission of PERMISSIONS) {
          const { status } = await send(route, account, tokenFor([permission], scope));
          const isReached = account !== 'missing' && (scope === '*' || scope.includes(account));
          const isRight = permission === route.permission;
          const isGood = isRight ? (isReached ? status < 400 : status === 404) : status === 403 || status === 404;
          const isPassedOn = edge.passedOn !== passedOn;
          passedOn = edge.passedOn;
          if (!isGood || isPassedOn !== (isRight && isReached))
            holes.push(`${permission} over ${account} with a token ${name}: ${status}`);
        }

    expect(holes).toEqual([]);
  },
);

test('a route over every account refuses a token of some, and takes an operator that names none', async () => {
  for (const route of guarded.filter((one) => one.wholeInstance === true)) {
    expect((await send(route, OWN, tokenFor(['admin'], [OWN]))).status).toBe(403);
    expect((await send(route, OWN, tokenFor(['read'], []))).status).toBe(403);
    if (route.name !== 'profile') expect((await send(route, OWN, tokenFor(['admin'], []))).status).toBe(200);
  }
});
