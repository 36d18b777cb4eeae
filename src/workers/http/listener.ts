/** Makes the server: TLS or plain, with the limits of docs/security.md#framing. */
import http from 'node:http';
import https from 'node:https';
import type { TlsOptions } from '../../kernel/config/tls-files.js';
import { HEADERS_MAX, HEADER_BYTES_MAX } from './framing.js';
import type { EdgeConfig } from './gate.js';

const REQUESTS_PER_SOCKET_MAX = 100_000;
const CONNECTIONS_MARGIN = 256;
/** How often Node looks for slow heads and bodies; its default of 30 s would let them live past our limit. */
const CHECK_INTERVAL_MS = 1_000;

export function createServer(config: EdgeConfig, tls: TlsOptions | undefined): http.Server | https.Server {
  const { limits } = config;
  const options = {
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
  // Above our own number (connection-places.ts): Node would drop the new connection, and never an old one.
  server.maxConnections = limits.connectionsMax + CONNECTIONS_MARGIN;
  return server;
}
