/** Self-signed certificates made at run time with openssl. */
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';

export const hasOpenssl = spawnSync('openssl', ['version'], { stdio: 'ignore' }).status === 0;

export interface CertificateFiles {
  /** Its common name; it is good for 127.0.0.1. */
  readonly name: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export function makeCertificate({ name, certFile, keyFile }: CertificateFiles): void {
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'],
    ...['-keyout', keyFile, '-out', certFile],
  ]);
  if (made.status !== 0) throw new TypeError(made.stderr.toString());
  chmodSync(keyFile, 0o600);
}
