/** The document, the router and the answers must tell the same story: whoever generates a client trusts the document. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import type joi from 'joi';
import { optionOrder, orderChanges, stockOrder } from '../../../src/workers/http/schema/orders.js';
import { toJsonSchema } from '../../../src/workers/http/schema/json-schema.js';
import { routeTable } from '../../../src/workers/http/routes/table.js';
import { accountBody, adminBody, jsonAnswer, marketBody } from '../../support/edge-answers.js';
import { EdgeFixture, OWN, tokenFor } from '../../support/http-edge-fixture.js';

interface Media {
  readonly schema: object;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}
interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly schema: { readonly examples?: readonly (string | number)[] };
}
interface Answer {
  readonly description: string;
  readonly content?: Readonly<Record<string, Media>>;
}
interface Operation {
  readonly operationId: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, Answer>>;
  readonly security: readonly object[];
  readonly tags: readonly string[];
}
interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: { readonly Problem: object }; readonly securitySchemes: object };
}

const routes = routeTable({ exposeMetrics: true, asyncApi: true });
const everything = tokenFor(['market_data', 'read', 'trade', 'audit', 'admin'], '*');
const ajv = new Ajv2020({ allErrors: true, strict: true, strictTypes: false, strictRequired: false });
(addFormats as unknown as (instance: Ajv2020) => void)(ajv);

let edge: EdgeFixture;
let document: Document;
beforeAll(async () => {
  edge = await new EdgeFixture({
    more: {
      asyncApi: { asyncapi: '3.0.0', info: {}, channels: {} },
      marketData: {
        quoteNow: () => undefined,
        execute: (request) => Promise.resolve(jsonAnswer(marketBody(request))),
      },
      admin: {
        readiness: () => ({ ready: true, reasons: [] }),
        execute: (request) => Promise.resolve(jsonAnswer(adminBody(request))),
      },
    },
  }).start();
  edge.accountAnswer = (request) => accountBody(request);
  document = (await (await edge.fetch('/api/v1/openapi.json')).json()) as Document;
});
afterAll(() => edge.stop());

function operations(): { method: string; path: string; operation: Operation }[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

function complaints(schema: object, value: unknown): string {
  const check = ajv.compile(schema);
  return check(value) ? '' : ajv.errorsText(check.errors);
}

test('the document and the route table name the same operations', () => {
  const documented = operations().map(({ method, path, operation }) => `${method} ${path} ${operation.operationId}`);
  const routed = routes.map(({ method, template, name }) => `${method} ${template} ${name}`);

  expect(documented.sort()).toEqual(routed.sort());
});

test('the running router takes exactly the methods that the document lists at each address', async () => {
  for (const path of Object.keys(document.paths)) {
    const target = path.replaceAll(/\{\w+\}/g, 'x');
    const answer = await edge.fetch(target, { method: 'PUT' });
    // `/orders/stocks` is an address of `/orders/{order_id}` too.
    const listed = operations()
      .filter((one) => new RegExp(`^${one.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(target))
      .map(({ method }) => method);
    const expected = listed.includes('GET') ? [...listed, 'HEAD'] : listed;
    expect([path, answer.headers.get('allow')]).toEqual([path, [...new Set(expected)].sort().join(', ')]);
  }
});

test('the document is well-formed OpenAPI 3.1', () => {
  expect(document.openapi).toBe('3.1.0');
  expect(document.info.title).not.toBe('');
  const ids = operations().map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  const tags = document.tags.map(({ name }) => name);
  for (const { path, operation } of operations()) {
    const templated = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = operation.parameters.filter((one) => one.in === 'path');
    expect(declared.map(({ name }) => name).sort()).toEqual(templated.sort());
    expect(declared.every(({ required }) => required)).toBe(true);
    const keys = operation.parameters.map((one) => `${one.in} ${one.name}`);
    expect(new Set(keys).size).toBe(keys.length);
    expect(tags).toEqual(expect.arrayContaining([...operation.tags]));
    for (const [status, answer] of Object.entries(operation.responses)) {
      expect(status).toMatch(/^(?:[1-5]\d\d|default)$/);
      if (!('$ref' in answer)) expect(answer.description).not.toBe('');
    }
  }
});

test('every reference inside the document resolves and every schema compiles', () => {
  const seen: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key === '$ref') {
        seen.push(String(inner));
        expect([inner, resolved(String(inner)) !== undefined]).toEqual([inner, true]);
      } else walk(inner);
    }
  };
  walk(document);

  expect(seen.length).toBeGreaterThan(0);
  for (const { operation } of operations()) {
    for (const { schema } of operation.parameters) expect(() => ajv.compile(schema)).not.toThrow();
    for (const answer of [...Object.values(operation.responses), operation.requestBody ?? {}]) {
      for (const { schema } of Object.values(('content' in answer ? answer.content : undefined) ?? {})) {
        if (!('$ref' in schema)) expect(() => ajv.compile(schema)).not.toThrow();
      }
    }
  }
});

function resolved(reference: string): unknown {
  return reference
    .replace(/^#\//, '')
    .split('/')
    .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], document);
}

test('every example, of a body or of a parameter, holds to the schema beside it and to the one that is enforced', () => {
  let bodies = 0;
  for (const route of routes) {
    const operation = document.paths[route.template]?.[route.method.toLowerCase()];
    for (const { value } of Object.values(operation?.requestBody?.content['application/json']?.examples ?? {})) {
      bodies += 1;
      expect(complaints(operation?.requestBody?.content['application/json']?.schema ?? {}, value)).toBe('');
      expect(route.body?.validate(value, { convert: false }).error?.message).toBeUndefined();
    }
    for (const { name, schema } of operation?.parameters ?? []) {
      for (const example of schema.examples ?? []) {
        expect([name, complaints(schema, example)]).toEqual([name, '']);
        const enforced = { ...route.path, ...route.query }[name];
        expect([name, enforced?.validate(example).error?.message]).toEqual([name, undefined]);
      }
    }
  }
  expect(bodies).toBeGreaterThan(10);
});

/** The request that the document's own examples make. */
function requestFor({ path, operation }: { path: string; operation: Operation }): { target: string; body?: string } {
  const value = (parameter: Parameter | undefined): string => String(parameter?.schema.examples?.[0] ?? 'missing');
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    name === 'account_id' ? OWN : value(operation.parameters.find((one) => one.name === name)),
  );
  const query = operation.parameters
    .filter((one) => one.in === 'query' && one.required)
    .map((one) => `${one.name}=${value(one)}`);
  const target = query.length === 0 ? filled : `${filled}?${query.join('&')}`;
  const [example] = Object.values(operation.requestBody?.content['application/json']?.examples ?? {});
  return example === undefined ? { target } : { target, body: JSON.stringify(example.value) };
}

async function describedAs(operation: Operation, answer: Response): Promise<string> {
  const described = operation.responses[String(answer.status)];
  if (described === undefined) return `status ${answer.status} is not described: ${await answer.text()}`;
  const body = await answer.text();
  const [type = '', media] = Object.entries(described.content ?? {})[0] ?? [];
  if (media === undefined) return body === '' ? '' : 'a body that is not described';
  if (!(answer.headers.get('content-type') ?? '').startsWith(type)) return `not ${type}`;
  return type === 'application/json' ? complaints(media.schema, JSON.parse(body)) : '';
}

test('every route answers as its document says', async () => {
  const wrong: string[] = [];
  for (const one of operations()) {
    // One second at least, and an upgrade: both have tests of their own.
    if (['profile', 'openStream'].includes(one.operation.operationId)) continue;
    const { target, body } = requestFor(one);
    const init = body === undefined ? {} : { body };
    const answer = await edge.fetch(target, { method: one.method, token: everything, ...init });
    const complaint = await describedAs(one.operation, answer);
    if (complaint !== '') wrong.push(`${one.method} ${target}: ${complaint}`);
  }
  expect(wrong).toEqual([]);
});

test('a dry run, an unknown outcome and an order known by its own id only are described too', async () => {
  const orders = `/api/v1/accounts/${OWN}/orders`;
  const { operation } = operations().find(({ operation: { operationId } }) => operationId === 'submitStockOrder') ?? {};
  if (operation === undefined) throw new TypeError('no such operation');
  const { body = '' } = requestFor({ path: orders, operation });
  const dry = await edge.fetch(`${orders}/stocks?dry_run=true`, { method: 'POST', token: everything, body });
  expect(await describedAs(operation, dry)).toBe('');

  edge.accountAnswer = () => jsonAnswer({ status: 'unknown', client_order_id: 'c1' }, 202);
  try {
    const unknown = await edge.fetch(`${orders}/stocks`, { method: 'POST', token: everything, body });
    expect(unknown.status).toBe(202);
    expect(await describedAs(operation, unknown)).toBe('');
  } finally {
    edge.accountAnswer = (request) => accountBody(request);
  }
});

test('a refusal of any guarded route holds to the schema of problems', async () => {
  for (const { method, path } of operations().filter(({ operation }) => operation.security.length > 0)) {
    const answer = await edge.fetch(path.replaceAll(/\{\w+\}/g, 'x'), { method });
    expect([path, answer.status, answer.headers.get('content-type')]).toEqual([path, 401, 'application/problem+json']);
    expect([path, complaints(document.components.schemas.Problem, await answer.json())]).toEqual([path, '']);
  }
});

const leg = { symbol: 'AAPL270115C00200000', ratio_qty: '1', side: 'buy', position_intent: 'buy_to_open' };
const shared = {
  type: ['market', 'limit', 'stop', 'stop_limit', 'trailing_stop', 'other'],
  time_in_force: ['day', 'gtc'],
  qty: ['1', '0', '-1', 2.5, '1e3', true],
  limit_price: ['1.5', '-1.5', 0],
  stop_price: ['1.5', '-0.5'],
  trail_price: ['1'],
  trail_percent: ['2', '0.0'],
  unknown: [1],
};
const complete = { type: 'limit', time_in_force: 'day', qty: '1', side: 'buy', limit_price: '1' };

interface Kind {
  readonly kind: string;
  readonly schema: joi.ObjectSchema;
  /** Accepted as it is; what is drawn changes it. */
  readonly start: Readonly<Record<string, unknown>>;
  readonly values: Readonly<Record<string, readonly unknown[]>>;
}
const kinds: readonly Kind[] = [
  {
    kind: 'stock orders',
    schema: stockOrder,
    start: { ...complete, symbol: 'AAPL' },
    values: {
      ...shared,
      symbol: ['aapl', ''],
      side: ['sell', 'other'],
      notional: ['100', 0],
      order_class: ['', 'simple', 'bracket', 'oco', 'oto', 'mleg'],
      take_profit: [{ limit_price: '2' }, {}],
      stop_loss: [{ stop_price: '1' }, { stop_price: '1', limit_price: '1' }, { limit_price: '1' }],
    },
  },
  {
    kind: 'option orders',
    schema: optionOrder,
    start: { ...complete, symbol: leg.symbol },
    values: {
      ...shared,
      symbol: [leg.symbol, 'AAPL'],
      side: ['sell', 'other'],
      order_class: ['', 'simple', 'mleg'],
      legs: [[leg], [leg, leg], [], [leg, leg, leg, leg, leg], [{ symbol: leg.symbol }]],
    },
  },
  {
    kind: 'multi-leg orders',
    schema: optionOrder,
    start: { type: 'limit', time_in_force: 'day', qty: '1', limit_price: '-1', order_class: 'mleg', legs: [leg, leg] },
    values: { ...shared, symbol: [leg.symbol], order_class: ['simple'], legs: [[leg], []] },
  },
  {
    kind: 'changes of orders',
    schema: orderChanges,
    start: { limit_price: '1' },
    values: { ...shared, notional: ['5'], trail: ['1', '0'], client_order_id: ['a', ''] },
  },
];

const ABSENT = Symbol('absent');

function ordersOf({ start, values }: Kind): fc.Arbitrary<Record<string, unknown>> {
  const names = [...new Set([...Object.keys(start), ...Object.keys(values)])];
  const change = fc
    .constantFrom(...names)
    .chain((name) => fc.tuple(fc.constant(name), fc.constantFrom(ABSENT, ...(values[name] ?? []))));
  return fc.array(change, { maxLength: 5 }).map((changes) => {
    const order = Object.entries({ ...start, ...Object.fromEntries(changes) });
    return Object.fromEntries(order.filter(([, value]) => value !== ABSENT));
  });
}

test.each(kinds)('the document accepts the same $kind as the edge', (kind) => {
  const check = ajv.compile(toJsonSchema(kind.schema));
  const tally = { accepted: 0, refused: 0 };
  fc.assert(
    fc.property(ordersOf(kind), (order) => {
      const accepted = kind.schema.validate(order, { convert: false }).error === undefined;
      tally[accepted ? 'accepted' : 'refused'] += 1;
      expect([order, check(order)]).toEqual([order, accepted]);
    }),
    { numRuns: 1_500 },
  );
  expect(Math.min(tally.accepted, tally.refused)).toBeGreaterThan(100);
});
