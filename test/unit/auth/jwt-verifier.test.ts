import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import type { AuthPolicy } from '../../../src/kernel/auth/auth-policy.js';
import { JwtVerifier } from '../../../src/kernel/auth/jwt-verifier.js';
import { signToken } from '../../../src/kernel/auth/sign-token.js';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import { ManualClock } from '../../support/manual-clock.js';
import { claimsOf, ecPair, NOW_S, rawToken, rsaPair, type Pair } from '../../support/raw-token.js';

const secret = randomBytes(32).toString('hex');
const common = {
  clockToleranceS: 5,
  maxLifetimeS: 86_400,
  revokedTokenIds: [],
  notBefore: {},
};
const policy: AuthPolicy = { ...common, algorithms: ['HS256'], secret };
let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

async function verifier(over: Partial<AuthPolicy> = {}): Promise<{ verifier: JwtVerifier; clock: ManualClock }> {
  const clock = new ManualClock(NOW_S * 1000);
  return { verifier: await JwtVerifier.open({ ...policy, ...over }, { clock, log: silentLog }), clock };
}

const hs = (over: Readonly<Record<string, unknown>> = {}): string =>
  rawToken({ alg: 'HS256', typ: 'JWT' }, claimsOf(over), secret, 'HS256');

test('a token verified before is known without a promise until it expires', async () => {
  const { verifier: it, clock } = await verifier();
  const token = hs();
  expect(it.known(token)).toBeUndefined();

  const principal = await it.verify(token);

  expect(it.known(token)).toBe(principal);
  expect(it.stillKnown(principal)).toBe(true);
  expect(principal.subject).toBe('tester');
  clock.stepWall(606_000);
  expect(it.known(token)).toBeUndefined();
  expect(it.stillKnown(principal)).toBe(false);
  expect(it.stillValid(principal)).toBe(false);
});

test('a token that differs in one character is not known by the other one', async () => {
  const { verifier: it } = await verifier();
  const token = hs();
  await it.verify(token);

  expect(it.known(`${token.slice(0, -2)}AA`)).toBeUndefined();
});

test('a revocation counts at once for tokens that were verified before', async () => {
  const { verifier: it } = await verifier();
  const token = hs({ jti: 'one' });
  const principal = await it.verify(token);

  await it.reconfigure({ ...policy, revokedTokenIds: ['one'] });

  expect(it.known(token)).toBeUndefined();
  expect(it.stillKnown(principal)).toBe(false);
  expect(it.stillValid(principal)).toBe(false);
  await expect(it.verify(token)).rejects.toMatchObject({ facts: { reason: 'revoked' } });
});

test('a new key ends what the old one signed', async () => {
  const { verifier: it } = await verifier();
  const token = hs();
  const principal = await it.verify(token);

  await it.reconfigure({ ...policy, secret: randomBytes(32).toString('hex') });

  expect(it.known(token)).toBeUndefined();
  expect(it.stillKnown(principal)).toBe(false);
  expect(it.stillValid(principal)).toBe(false);
});

test('a reload that no longer takes the audience ends what is remembered beside a connection, too', async () => {
  const { verifier: it } = await verifier();
  const token = hs();
  const principal = await it.verify(token);

  await it.reconfigure({ ...policy, audience: 'somebody-else' });

  expect(it.known(token)).toBeUndefined();
  expect(it.stillKnown(principal)).toBe(false);
  await expect(it.verify(token)).rejects.toMatchObject({ facts: { reason: 'audience' } });
});

test('a reload with a bad key changes nothing', async () => {
  const { verifier: it } = await verifier();
  const token = hs();
  await it.verify(token);

  await expect(it.reconfigure({ ...policy, secret: 'short' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });

  expect(it.known(token)).toBeDefined();
});

test('a token without accounts reads market data only: its scope is empty', async () => {
  const { verifier: it } = await verifier();

  const { accounts } = await it.verify(hs({ account_ids: undefined }));

  expect(accounts).toEqual(new Set());
});

test('what signToken signs, the verifier takes', async () => {
  const { verifier: it } = await verifier({ issuer: 'here', audience: 'gateway' });
  const request = { secret, subject: 'cli', permissions: ['trade'] as const, accounts: ['a1'], tokenId: 'x' };

  const token = await signToken({ ...request, issuedAtS: NOW_S, lifetimeS: 60, issuer: 'here', audience: 'gateway' });

  expect(await it.verify(token)).toMatchObject({ subject: 'cli', tokenId: 'x', accounts: new Set(['a1']) });
});

interface Issuer {
  readonly url: string;
  fetches: number;
  keys: unknown[];
  answer: 'keys' | 'error' | 'redirect' | 'huge';
}

async function issuer(keys: unknown[]): Promise<Issuer> {
  const state = { fetches: 0, keys, answer: 'keys' as Issuer['answer'] };
  server = createServer((request, response) => {
    state.fetches += 1;
    if (state.answer === 'error') response.writeHead(503).end();
    else if (state.answer === 'redirect' && request.url === '/jwks')
      response.writeHead(302, { location: '/moved' }).end();
    else if (state.answer === 'huge') response.end(`{"keys":[],"fill":"${'x'.repeat(400_000)}"}`);
    else response.end(JSON.stringify({ keys: state.keys }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(state, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks` });
}

const jwk = (pair: Pair, kid: string): unknown => ({ ...pair.publicKey.export({ format: 'jwk' }), kid });
const signed = (pair: Pair, kid: string, over: Readonly<Record<string, unknown>> = {}): string =>
  rawToken({ alg: 'RS256', typ: 'JWT', kid }, claimsOf(over), pair.privateKey, 'RS256');

async function remote(source: Issuer): Promise<{ verifier: JwtVerifier; clock: ManualClock }> {
  const clock = new ManualClock(NOW_S * 1000);
  const settings = { ...common, algorithms: ['RS256'], jwksUrl: source.url };
  return { verifier: await JwtVerifier.open(settings, { clock, log: silentLog }), clock };
}

test('a flood of unknown key ids costs one fetch in thirty seconds', async () => {
  const pair = rsaPair();
  const source = await issuer([jwk(pair, 'a')]);
  const { verifier: it, clock } = await remote(source);
  await it.verify(signed(pair, 'a'));

  const flood = Array.from({ length: 200 }, (_, index) => it.verify(signed(pair, `unknown-${index}`)));
  const results = await Promise.allSettled(flood);

  expect(results.every(({ status }) => status === 'rejected')).toBe(true);
  expect(source.fetches).toBe(1);
  await clock.advance(30_000);
  await Promise.allSettled([it.verify(signed(pair, 'x')), it.verify(signed(pair, 'y'))]);
  expect(source.fetches).toBe(2);
});

test('keys overlap during a rotation and a removed one dies with the refresh', async () => {
  const [old, next] = [rsaPair(), rsaPair()];
  const source = await issuer([jwk(old, 'old')]);
  const { verifier: it, clock } = await remote(source);
  const oldToken = signed(old, 'old', { exp: NOW_S + 7200 });
  await it.verify(oldToken);
  source.keys = [jwk(old, 'old'), jwk(next, 'next')];
  await clock.advance(30_000);

  await it.verify(signed(next, 'next', { exp: NOW_S + 7200 }));

  await it.verify(oldToken);
  expect(it.known(oldToken)).toBeDefined();
  source.keys = [jwk(next, 'next')];
  await clock.advance(600_000);
  expect(it.known(oldToken)).toBeUndefined();
  await expect(it.verify(oldToken)).rejects.toMatchObject({ facts: { reason: 'key-unknown' } });
});

test('an outage keeps the last good set, not for ever', async () => {
  const pair = rsaPair();
  const source = await issuer([jwk(pair, 'a')]);
  const { verifier: it, clock } = await remote(source);
  const token = signed(pair, 'a', { exp: NOW_S + 80_000 });
  await it.verify(token);
  source.answer = 'error';
  await clock.advance(3_600_000);

  await it.verify(token);

  await clock.advance(6 * 3_600_000);
  await expect(it.verify(token)).rejects.toMatchObject({ facts: { reason: 'keys-unavailable' } });
  expect(it.known(token)).toBeUndefined();
});

test.each(['error', 'redirect', 'huge'] as const)(
  'a key set that answers with %s at the start fails closed',
  async (answer) => {
    const pair = rsaPair();
    const source = await issuer([jwk(pair, 'a')]);
    source.answer = answer;
    const { verifier: it } = await remote(source);

    await expect(it.verify(signed(pair, 'a'))).rejects.toMatchObject({ facts: { reason: 'keys-unavailable' } });
  },
);

test('a symmetric key in a public key set is not used', async () => {
  const source = await issuer([
    { kty: 'oct', k: Buffer.from(secret).toString('base64url'), kid: 'a' },
    jwk(ecPair(), 'b'),
  ]);
  const { verifier: it } = await remote(source);
  const forged = rawToken({ alg: 'HS256', typ: 'JWT', kid: 'a' }, claimsOf(), secret, 'HS256');

  await expect(it.verify(forged)).rejects.toMatchObject({ facts: { reason: 'algorithm' } });
  await expect(it.verify(signed(rsaPair(), 'b'))).rejects.toMatchObject({ facts: { reason: 'algorithm' } });
});
