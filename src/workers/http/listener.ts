/** Makes the server: TLS or plain, the limits of RELIABILITY 5.5, and Express's prototypes where they save time. */
import http, { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { Express } from 'express';
import type { TlsOptions } from '../../kernel/config/tls-files.js';
import { HEADERS_MAX, HEADER_BYTES_MAX } from './framing.js';
import type { EdgeConfig } from './gate.js';

const REQUESTS_PER_SOCKET_MAX = 100_000;
/** How often Node looks for slow heads and bodies; its default of 30 s would let them live past our limit. */
const CHECK_INTERVAL_MS = 1_000;
/** From here on Node sets no prototype on each request any more (DESIGN 1). */
const NODE_WITHOUT_NEED = 24;

export function createServer(
  app: Express,
  config: EdgeConfig,
  tls: TlsOptions | undefined,
): http.Server | https.Server {
  const { limits } = config;
  const options = {
    ...expressConstructors(app),
    maxHeaderSize: HEADER_BYTES_MAX,
    insecureHTTPParser: false,
    // The edge asks for it itself (framing.ts): Node would answer uncounted and without a document.
    requireHostHeader: false,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    noDelay: true,
  };
  const server = tls === undefined ? http.createServer(options) : https.createServer({ ...options, ...tls });
  // Node cuts the list in silence at this number: stay above ours, which refuses.
  server.maxHeadersCount = HEADERS_MAX * 2;
  server.maxRequestsPerSocket = REQUESTS_PER_SOCKET_MAX;
  server.maxConnections = limits.connectionsMax;
  return server;
}

interface Constructors {
  readonly IncomingMessage?: typeof IncomingMessage;
  readonly ServerResponse?: typeof ServerResponse;
}

/**
 * Express gives every request and response its own prototypes, which is expensive in V8 before Node 24. Objects born
 * with these prototypes make that a comparison.
 */
function expressConstructors(app: Express): Constructors {
  if (Number(process.versions.node.split('.')[0]) >= NODE_WITHOUT_NEED) return {};
  return {
    IncomingMessage: bornAs(IncomingMessage, app.request as object) as typeof IncomingMessage,
    ServerResponse: bornAs(ServerResponse, app.response as object) as typeof ServerResponse,
  };
}

function bornAs(parent: unknown, prototype: object): unknown {
  const construct = parent as { call(self: object, ...args: unknown[]): void };
  function Born(this: object, ...args: unknown[]): void {
    construct.call(this, ...args);
  }
  Born.prototype = prototype;
  return Born;
}
