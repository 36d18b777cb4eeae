/** Redis by TLS, with a user who may do no more than the documented rule lets him: docs/instances.md. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasOpenssl, makeCertificate } from '../../support/certificates.js';
import { hasRedis, startRedis, type RedisProcess } from '../../support/redis-process.js';

const isThere = hasRedis() && hasOpenssl;
const throughTls = isThere ? test : test.skip;
const PROBE = new URL('../../support/redis-probe.mjs', import.meta.url).pathname;
const RULE = /^user opitios .*$/m.exec(
  readFileSync(new URL('../../../docs/instances.md', import.meta.url), 'utf8'),
)?.[0];

let dir: string;
let redis: RedisProcess;
beforeAll(async () => {
  if (!isThere) return;
  dir = mkdtempSync(join(tmpdir(), 'opitios-redis-door-'));
  const [certFile, keyFile] = [join(dir, 'redis.crt'), join(dir, 'redis.key')];
  makeCertificate({ name: 'redis', certFile, keyFile });
  const aclFile = join(dir, 'users.acl');
  writeFileSync(aclFile, `user default off\n${(RULE ?? '').replace('PASSWORD', 'hunter2')}\n`);
  redis = await startRedis({
    argumentsOf: (port) => [
      ...['--port', '0', '--tls-port', String(port), '--tls-cert-file', certFile, '--tls-key-file', keyFile],
      ...['--tls-auth-clients', 'no', '--aclfile', aclFile],
    ],
  });
});

afterAll(async () => {
  if (!isThere) return;
  await redis.stop();
  rmSync(dir, { recursive: true, force: true });
});

function probe(user: string, isTrusted = true): unknown {
  const env = { ...process.env, ...(isTrusted && { NODE_EXTRA_CA_CERTS: join(dir, 'redis.crt') }) };
  const url = `rediss://${user}@127.0.0.1:${redis.port}`;
  const { stdout, stderr } = spawnSync(process.execPath, [PROBE, url], { env, encoding: 'utf8', timeout: 60_000 });
  return JSON.parse(stdout === '' ? JSON.stringify({ refused: stderr }) : stdout) as unknown;
}

throughTls(
  'leases, nudges and events work over TLS with the documented rule',
  () => {
    expect(probe('opitios:hunter2')).toEqual({
      ...{ nudged: true, place: { epoch: 1, seq: 1 } },
      held: ['undefined', 'number'],
    });
  },
  90_000,
);

throughTls(
  'a wrong password and a certificate that is not trusted are refused',
  () => {
    expect(probe('opitios:wrong')).toEqual({ refused: expect.stringMatching(/WRONGPASS/) });
    expect(probe('opitios:hunter2', false)).toEqual({ refused: expect.stringMatching(/self.signed certificate/) });
  },
  90_000,
);
