/**
 * The PEM files of an HTTPS listener: read whole, tried as a pair, and refused when others may read the key. What was read is
 * handed on, so that a worker that starts later has the same certificate as the others, whatever lies on the disk then.
 */
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { GatewayError } from '../domain/errors.js';
import type { TlsConfig, TlsPem } from './gateway-config.js';
import type { ConfigProblem } from './problems.js';

/** Forward secrecy and authenticated encryption only: Node's own list has CBC for clients older than 2014. */
const CIPHERS = [
  ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  ...['ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':');

/** What `https.createServer` and `setSecureContext` take. */
export interface TlsOptions extends TlsPem {
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly ciphers: string;
  readonly requestCert?: true;
  readonly rejectUnauthorized?: true;
}

export type TlsRead =
  { readonly kind: 'good'; readonly pem: TlsPem } | { readonly kind: 'bad'; readonly problem: ConfigProblem };

/** @param path of the section, `server.tls`, for what is said of it. */
export async function readTls(path: string, tls: TlsConfig): Promise<TlsRead> {
  const bad = (key: string, reason: string): TlsRead => ({ kind: 'bad', problem: { path: `${path}${key}`, reason } });
  const read = (file: string): Promise<string | undefined> => readFile(file, 'utf8').catch(() => undefined);
  const cert = await read(tls.certFile);
  if (cert === undefined) return bad('.cert_file', `names a file that cannot be read: ${tls.certFile}`);
  const key = await read(tls.keyFile);
  if (key === undefined) return bad('.key_file', `names a file that cannot be read: ${tls.keyFile}`);
  const ca = tls.clientCaFile === undefined ? undefined : await read(tls.clientCaFile);
  if (tls.clientCaFile !== undefined && ca === undefined)
    return bad('.client_ca_file', `names a file that cannot be read: ${tls.clientCaFile}`);
  const mode = (await stat(tls.keyFile)).mode & 0o777;
  if ((mode & 0o077) !== 0) return bad('.key_file', `${tls.keyFile} has mode 0${mode.toString(8)}: it must be 0600`);
  const pem = { cert, key, ...(ca === undefined ? {} : { ca }) };
  try {
    createSecureContext(pem);
  } catch {
    return bad('', 'the certificate and the private key are no pair, or no PEM');
  }
  return { kind: 'good', pem };
}

/** The section with its files read. @throws GatewayError CONFIG_INVALID */
export async function withPem(path: string, tls: TlsConfig): Promise<TlsConfig> {
  const read = await readTls(path, tls);
  if (read.kind === 'good') return { ...tls, pem: read.pem };
  const { problem } = read;
  throw new GatewayError('CONFIG_INVALID', { key: problem.path }, { message: `${problem.path}: ${problem.reason}` });
}

/** @throws GatewayError CONFIG_INVALID when nobody has read the files. */
export function tlsOptions({ pem, minVersion }: TlsConfig): TlsOptions {
  if (pem === undefined) throw new GatewayError('CONFIG_INVALID', {}, { message: 'the TLS files were not read' });
  const options = { ...pem, minVersion, ciphers: CIPHERS };
  return pem.ca === undefined ? options : { ...options, requestCert: true, rejectUnauthorized: true };
}
