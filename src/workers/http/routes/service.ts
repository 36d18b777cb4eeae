/** Open to everybody: health without versions or names, the document, the docs page; metrics where they are exposed. */
import * as answer from './answer-schemas.js';
import {
  BASE,
  jsonReply,
  type AssetName,
  type Call,
  type Doors,
  type Reply,
  type Route,
  type ServedFile,
} from './route.js';

type Shape = Pick<Route, 'name' | 'summary' | 'answers'> & Partial<Pick<Route, 'description' | 'aliases'>>;

function open(template: string, shape: Shape, handle: Route['handle']): Route {
  return {
    method: 'GET',
    template: `${BASE}${template}`,
    aliases: [template],
    permission: 'none',
    work: 'exempt',
    tag: 'Service',
    ...shape,
    handle,
  };
}

const HEALTHY: Route['answers'] = [
  { status: 200, description: 'Ready.', schema: answer.health },
  { status: 503, description: 'Not ready, or draining.', schema: answer.health, contentType: 'application/json' },
];

function ready(_call: Call, doors: Doors): Reply {
  if (doors.service.draining()) return jsonReply({ status: 'draining' }, 503);
  return doors.admin.readiness().ready ? jsonReply({ status: 'ready' }) : jsonReply({ status: 'not-ready' }, 503);
}

function document({ body, etag }: ServedFile): Reply {
  return {
    kind: 'answer',
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-cache', etag },
    body,
  };
}

function file(name: AssetName) {
  return (_call: Call, doors: Doors): Reply => {
    const { contentType, body, etag } = doors.service.asset(name);
    return {
      kind: 'answer',
      status: 200,
      headers: { 'content-type': contentType, 'cache-control': 'no-cache', etag },
      body,
      page: true,
    };
  };
}

function page(template: string, name: string, asset: AssetName): Route {
  const contentType = asset.endsWith('html') ? 'text/html' : asset.endsWith('css') ? 'text/css' : 'text/javascript';
  return open(
    template,
    {
      name,
      summary: `Documentation page: ${asset}`,
      answers: [{ status: 200, description: 'The file.', contentType }],
    },
    file(asset),
  );
}

export const serviceRoutes: readonly Route[] = [
  open('/health', { name: 'getHealth', summary: 'Is the service ready?', answers: HEALTHY }, ready),
  open(
    '/health/live',
    {
      name: 'getLive',
      summary: 'Does the process answer?',
      answers: [{ status: 200, description: 'It does.', schema: answer.health }],
    },
    () => jsonReply({ status: 'live' }),
  ),
  open('/health/ready', { name: 'getReady', summary: 'Is the service ready?', answers: HEALTHY }, ready),
  open(
    '/openapi.json',
    {
      name: 'getOpenApi',
      summary: 'This document',
      answers: [{ status: 200, description: 'OpenAPI 3.1.', schema: answer.openApi }],
    },
    async (_call, doors) => document(await doors.service.openApi()),
  ),
  page('/docs', 'getDocs', 'docs.html'),
  page('/docs/docs.css', 'getDocsStyle', 'docs.css'),
  page('/docs/docs.js', 'getDocsScript', 'docs.js'),
  page('/docs/stream', 'getStreamPage', 'stream.html'),
  page('/docs/stream.js', 'getStreamScript', 'stream.js'),
  open(
    '/stream',
    {
      name: 'openStream',
      summary: 'Live quotes, trades, bars and order events (WebSocket)',
      description:
        'Upgrade to WebSocket. Authenticate by the Authorization header, the subprotocol `bearer.<jwt>`, or a first message `{"action":"auth","token":"…"}`.',
      answers: [{ status: 101, description: 'The socket is open.' }],
      aliases: [],
    },
    () => ({
      kind: 'problem',
      problem: {
        code: 'upgrade-required',
        detail: 'This address speaks WebSocket.',
        headers: { Upgrade: 'websocket', Connection: 'Upgrade' },
      },
    }),
  ),
];

/** Only where the composition root gave the document of the streams. */
export const asyncApiRoute: Route = open(
  '/asyncapi.json',
  {
    name: 'getAsyncApi',
    summary: 'The document of the stream',
    answers: [{ status: 200, description: 'AsyncAPI 3.0.', schema: answer.asyncApi }],
  },
  (_call, doors) => document(doors.service.asyncApi()),
);

/** Only with `server.expose_metrics`. */
export const metricsRoute: Route = open(
  '/metrics',
  {
    name: 'getMetrics',
    summary: 'Prometheus metrics',
    answers: [{ status: 200, description: 'Text format.', contentType: 'text/plain' }],
  },
  async (_call, doors) => {
    const { contentType, body } = await doors.service.metrics();
    return {
      kind: 'answer',
      status: 200,
      headers: { 'content-type': contentType, 'cache-control': 'no-store' },
      body: Buffer.from(body),
    };
  },
);
