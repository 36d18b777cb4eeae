/** Makes the server: TLS or plain, the limits of RELIABILITY 5.5, and Express's prototypes where they save time. */
import { readFileSync } from 'node:fs';
import http, { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { Express } from 'express';
import type { ServerConfig } from '../../kernel/config/gateway-config.js';
import { HEADERS_MAX, HEADER_BYTES_MAX } from './framing.js';
import type { EdgeConfig } from './gate.js';

export interface TlsFiles {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly ciphers: string;
}

/** Forward secrecy and authenticated encryption only: Node's own list has CBC for clients older than 2014. */
const CIPHERS = [
  ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  ...['ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':');

const REQUESTS_PER_SOCKET_MAX = 100_000;
/** How often Node looks for slow heads and bodies; its default of 30 s would let them live past our limit. */
const CHECK_INTERVAL_MS = 1_000;
/** From here on Node sets no prototype on each request any more (DESIGN 1). */
const NODE_WITHOUT_NEED = 24;

export function readTls(tls: NonNullable<ServerConfig['tls']>): TlsFiles {
  return {
    cert: readFileSync(tls.certFile),
    key: readFileSync(tls.keyFile),
    minVersion: tls.minVersion,
    ciphers: CIPHERS,
    ...(tls.clientCaFile === undefined ? {} : { ca: readFileSync(tls.clientCaFile) }),
  };
}

export function createServer(app: Express, config: EdgeConfig, tls: TlsFiles | undefined): http.Server | https.Server {
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
  const server =
    tls === undefined
      ? http.createServer(options)
      : https.createServer({
          ...options,
          ...tls,
          ...(tls.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true }),
        });
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
