/**
 * One request to the running gateway, over its Unix socket, plain HTTP on loopback, or HTTPS. Over HTTPS the other side must
 * show the very certificate that the configuration names: it is our own gateway, whatever authority signed it.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import { operatorTls } from '../kernel/config/checks.js';
import type { GatewayConfig, TlsConfig } from '../kernel/config/gateway-config.js';
import { CommandFailure } from './failures.js';

/** Where a door of the gateway is. */
export interface DoorPlace {
  readonly host: string;
  readonly port: number;
  readonly socket?: string | undefined;
  readonly tls?: TlsConfig | undefined;
}

export interface GatewayCall {
  readonly method: 'GET' | 'POST';
  /** From `/api/v1` on. */
  readonly path: string;
  readonly token: string;
  readonly body?: unknown;
}

export interface GatewayReply {
  readonly status: number;
  readonly text: string;
}

const DEADLINE_MS = 60_000;
const ANY_HOST: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

export function operatorDoor(config: GatewayConfig): DoorPlace {
  const { host, port, socket } = config.admin;
  return { host, port, socket, tls: operatorTls(config) };
}

/** @throws CommandFailure when nobody answers, or somebody else does */
export async function callGateway(place: DoorPlace, call: GatewayCall): Promise<GatewayReply> {
  const where = place.socket ?? `${place.host}:${place.port}`;
  const host = ANY_HOST[place.host] ?? place.host;
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const options: RequestOptions = {
    method: call.method,
    path: `/api/v1${call.path}`,
    signal: deadline,
    headers: {
      authorization: `Bearer ${call.token}`,
      ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
  };
  try {
    if (place.socket !== undefined) return await answerTo(request({ ...options, socketPath: place.socket }), call.body);
    if (place.tls === undefined) return await answerTo(request({ ...options, host, port: place.port }), call.body);
    const socket = await ownGateway(host, place.port, place.tls);
    return await answerTo(request({ ...options, host, createConnection: () => socket }), call.body);
  } catch (cause) {
    if (cause instanceof CommandFailure) throw cause;
    const why = deadline.aborted ? 'did not answer in time' : 'does not answer';
    throw new CommandFailure(`the gateway at ${where} ${why}: is it running?`);
  }
}

/** The token is sent only when this has resolved. */
async function ownGateway(host: string, port: number, tls: TlsConfig): Promise<TLSSocket> {
  const expected = new X509Certificate(await readFile(tls.certFile)).fingerprint256;
  // Checked below, and more strictly: by the certificate itself.
  const socket = connect({ host, port, rejectUnauthorized: false });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  if (socket.getPeerCertificate().fingerprint256 === expected) return socket;
  socket.destroy();
  throw new CommandFailure(
    `${host}:${port} shows another certificate than ${tls.certFile}: is it another gateway, or not reloaded?`,
  );
}

function answerTo(sent: ClientRequest, body: unknown): Promise<GatewayReply> {
  return new Promise((resolve, reject) => {
    sent.once('error', reject);
    sent.once('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
