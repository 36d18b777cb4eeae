import { afterEach, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { startGateway, type GatewayProcess } from '../support/gateway-process.js';
import { startTraceReceiver, type ReceivedSpan, type TraceReceiver } from '../support/trace-receiver.js';

let gateway: GatewayProcess | undefined;
let receiver: TraceReceiver | undefined;
afterEach(async () => {
  await gateway?.stop();
  await receiver?.close();
  gateway = undefined;
}, 60_000);

const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '10', time_in_force: 'day' };

interface Sent {
  readonly traceId: string;
  readonly callerSpan: string;
}

/** Sends orders until one has crossed the mesh: which worker takes a connection is the kernel's choice. */
async function orderOverTheMesh(running: GatewayProcess): Promise<Sent> {
  for (let turn = 0; turn < 60; turn += 1) {
    const accountId = running.accountIds[turn % running.accountIds.length] ?? '';
    const [traceId, callerSpan] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
    const headers = { traceparent: `00-${traceId}-${callerSpan}-01`, connection: 'close' };
    const answer = await running.post(`/accounts/${accountId}/orders/stocks`, ORDER, headers);
    expect(answer.status).toBe(201);
    expect(answer.headers.get('traceparent')?.slice(3, 35)).toBe(traceId);
    if (/mesh;dur=(?!0[,;])/.test(answer.headers.get('server-timing') ?? '')) return { traceId, callerSpan };
  }
  throw new TypeError('no order crossed the mesh');
}

function only(spans: readonly ReceivedSpan[], what: string): ReceivedSpan {
  const found = spans.filter(({ name, kind }) => `${name}/${kind}` === what);
  expect([what, found.length]).toEqual([what, 1]);
  return found[0] as ReceivedSpan;
}

test('an order that lands on the wrong worker is one tree of spans from the caller to the broker, flushed when the gateway stops', async () => {
  receiver = await startTraceReceiver();
  gateway = await startGateway({ accounts: 6, config: { telemetry: { otlp_endpoint: receiver.endpoint } } });
  const { traceId, callerSpan } = await orderOverTheMesh(gateway);
  const { entries } = await gateway.simulator.control.ledger();
  await gateway.stop();
  gateway = undefined;

  const spans = receiver.spans.filter((span) => span.traceId === traceId);
  const root = only(spans, 'request/2');
  const ask = only(spans, 'mesh ask/3');
  const serve = only(spans, 'mesh serve/2');
  const broker = only(spans, 'broker POST/3');
  expect(spans).toHaveLength(4);
  expect(root.parentSpanId).toBe(callerSpan);
  expect(ask.parentSpanId).toBe(root.spanId);
  expect(serve.parentSpanId).toBe(ask.spanId);
  expect(broker.parentSpanId).toBe(serve.spanId);
  expect(root.attributes['http.response.status_code']).toBe(201);
  // Two processes: the one that was asked and the owner.
  expect(root.resource['process.pid']).toBe(ask.resource['process.pid']);
  expect(serve.resource['process.pid']).not.toBe(root.resource['process.pid']);
  expect(broker.resource['process.pid']).toBe(serve.resource['process.pid']);
  const heard = entries.flatMap(({ headers }) => headers.filter(([name]) => name.toLowerCase() === 'traceparent'));
  expect(heard.map(([, value]) => value)).toContain(`00-${traceId}-${broker.spanId}-01`);
}, 90_000);

test('batch work in a thread is a child of its request, and what the caller does not want traced is not', async () => {
  receiver = await startTraceReceiver();
  gateway = await startGateway({ accounts: 2, config: { telemetry: { otlp_endpoint: receiver.endpoint } } });
  const traceId = randomBytes(16).toString('hex');
  const unwanted = randomBytes(16).toString('hex');
  // Fewer would be put together where they are.
  const symbols = Array.from(
    { length: 60 },
    (_, index) => `T${String.fromCharCode(65 + (index % 26), 65 + index / 26)}`,
  );
  const authorization = `Bearer ${await gateway.token()}`;
  const ask = (trace: string, flags: string): Promise<Response> =>
    fetch(`${gateway?.url}/api/v1/stocks/quotes?symbols=${symbols.join(',')}`, {
      headers: { authorization, traceparent: `00-${trace}-${'a'.repeat(16)}-${flags}` },
    });
  expect((await ask(traceId, '01')).status).toBe(200);
  expect((await ask(unwanted, '00')).status).toBe(200);
  const refused = await fetch(`${gateway.url}/api/v1/accounts/nobody/account`, {
    headers: { authorization, traceparent: `00-${unwanted}-${'a'.repeat(16)}-00` },
  });
  expect(await refused.json()).toMatchObject({ code: 'account-not-found', trace_id: unwanted });
  await gateway.stop();
  expect(gateway.output()).toContain(`"traceId":"${traceId}"`);
  gateway = undefined;

  const spans = receiver.spans.filter((span) => span.traceId === traceId);
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const thread = spans.find(({ name }) => name === 'thread compose');
  const roots: string[] = [];
  for (let at = thread; at !== undefined; at = byId.get(at.parentSpanId)) roots.push(at.name);
  expect(roots.at(-1)).toBe('request');
  expect(spans.some(({ name }) => name === 'broker GET')).toBe(true);
  expect(receiver.spans.filter((span) => span.traceId === unwanted)).toEqual([]);
}, 90_000);

test('without a collector nothing of the OpenTelemetry SDK is loaded', async () => {
  const environment = { NODE_DEBUG: 'esm,module' };
  // The bundle that holds the SDK is named after the module that asks for it.
  const bundle = /chunks\/otel-tracer-/;
  receiver = await startTraceReceiver();
  gateway = await startGateway({ environment, config: { telemetry: { otlp_endpoint: receiver.endpoint } } });
  expect(gateway.output()).toMatch(bundle);
  await gateway.stop();

  gateway = await startGateway({ accounts: 2, environment });
  expect(gateway.output()).toContain('workers/main.js');
  expect(gateway.output()).not.toMatch(bundle);
}, 90_000);
