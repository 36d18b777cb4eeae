/**
 * Tokens against the policy of docs/security.md#tokens: each is a row, none is accepted. The good ones prove that rows
 * can fail.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomBytes, type KeyObject } from 'node:crypto';
import type { AuthPolicy } from '../../src/kernel/auth/auth-policy.js';
import { JwtVerifier } from '../../src/kernel/auth/jwt-verifier.js';
import { GatewayError } from '../../src/kernel/domain/errors.js';
import { silentLog } from '../../src/kernel/runtime/log.js';
import { ManualClock } from '../support/manual-clock.js';
import { claimsOf, ecPair, edPair, NOW_S, part, rawToken, rsaPair, signRaw } from '../support/raw-token.js';

const directory = mkdtempSync(join(tmpdir(), 'opitios-jwt-'));
const rsa = rsaPair();
const stranger = rsaPair();
const ec = ecPair();
const ed = edPair();
const secret = randomBytes(32).toString('hex');
const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string;
const der = rsa.publicKey.export({ type: 'spki', format: 'der' });

const base: AuthPolicy = {
  algorithms: ['RS256'],
  issuer: 'issuer',
  audience: 'gateway',
  clockToleranceS: 5,
  maxLifetimeS: 31_536_000,
  revokedTokenIds: ['revoked-1'],
  notBefore: { 'locked-out': NOW_S - 5 },
};
const HEADER = { alg: 'RS256', typ: 'JWT' };
const verifiers: Record<string, JwtVerifier> = {};

function keyFile(name: string, key: KeyObject): string {
  const file = join(directory, name);
  writeFileSync(file, key.export({ type: 'spki', format: 'pem' }));
  return file;
}

beforeAll(async () => {
  const parts = { clock: new ManualClock(NOW_S * 1000), log: silentLog };
  const open = (over: Partial<AuthPolicy>): Promise<JwtVerifier> => JwtVerifier.open({ ...base, ...over }, parts);
  verifiers['RS256'] = await open({ publicKeyFile: keyFile('rsa.pem', rsa.publicKey) });
  verifiers['ES256'] = await open({ algorithms: ['ES256'], publicKeyFile: keyFile('ec.pem', ec.publicKey) });
  verifiers['EdDSA'] = await open({ algorithms: ['EdDSA'], publicKeyFile: keyFile('ed.pem', ed.publicKey) });
  verifiers['HS256'] = await open({ algorithms: ['HS256'], secret });
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function outcome(family: string, token: string): Promise<string> {
  const verifier = verifiers[family];
  try {
    await verifier?.verify(token);
    return 'accepted';
  } catch (error) {
    expect(verifier?.known(token)).toBeUndefined();
    if (error instanceof GatewayError && error.code === 'TOKEN_INVALID') return String(error.facts['reason']);
    throw error;
  }
}

const rs = (header: unknown, claims: unknown = claimsOf()): string => rawToken(header, claims, rsa.privateKey, 'RS256');
const claims = (over: Readonly<Record<string, unknown>>): string => rs(HEADER, claimsOf(over));
const without = (name: string): string =>
  rs(HEADER, Object.fromEntries(Object.entries(claimsOf()).filter(([key]) => key !== name)));
const header = (over: Readonly<Record<string, unknown>>): string => rs({ ...HEADER, ...over });
const good = rs(HEADER);
const [goodHead = '', goodBody = '', goodSignature = ''] = good.split('.');
const hs = (key: Buffer | string): string => rawToken({ alg: 'HS256', typ: 'JWT' }, claimsOf(), key, 'HS256');
const flipped = (text: string, at: number): string => {
  const bytes = Buffer.from(text, 'base64url');
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes.toString('base64url');
};
const jwk = stranger.publicKey.export({ format: 'jwk' });
const doubled = (text: string): string => rs(HEADER, text);
const bodyText = JSON.stringify(claimsOf());

test.each([
  ['RS256', good],
  ['RS256', rs({ alg: 'RS256', typ: 'at+jwt', kid: 'any-name' })],
  ['RS256', claims({ aud: ['other', 'gateway'] })],
  ['RS256', claims({ account_ids: '*' })],
  ['ES256', rawToken({ alg: 'ES256', typ: 'JWT' }, claimsOf(), ec.privateKey, 'ES256')],
  ['EdDSA', rawToken({ alg: 'EdDSA', typ: 'JWT' }, claimsOf(), ed.privateKey, 'EdDSA')],
  ['HS256', hs(secret)],
])('a good %s token is accepted', async (family, token) => {
  expect(await outcome(family, token)).toBe('accepted');
});

const attacks: readonly (readonly [name: string, token: string, family?: string])[] = [
  ['alg none without a signature', `${part({ alg: 'none', typ: 'JWT' })}.${goodBody}.`],
  ['alg none with a signature', `${part({ alg: 'none', typ: 'JWT' })}.${goodBody}.${goodSignature}`],
  ['alg NoNe', `${part({ alg: 'NoNe', typ: 'JWT' })}.${goodBody}.AA`],
  ['an empty signature', `${goodHead}.${goodBody}.`],
  ['a missing signature', `${goodHead}.${goodBody}`],
  ['HS256 signed with the public PEM (CVE-2015-9235)', hs(pem)],
  ['HS256 signed with the trimmed PEM', hs(pem.trim())],
  ['HS256 signed with the DER key', hs(der)],
  ['HS256 signed with a blank key', hs(Buffer.alloc(0))],
  ['HS256 signed with zeros', hs(Buffer.alloc(32)), 'HS256'],
  ['HS384 in place of HS256', rawToken({ alg: 'HS384', typ: 'JWT' }, claimsOf(), secret, 'HS384'), 'HS256'],
  ['RS256 presented to an HS256 verifier', good, 'HS256'],
  ['an embedded jwk (CVE-2018-0114)', rawToken({ ...HEADER, jwk }, claimsOf(), stranger.privateKey, 'RS256')],
  ['jku', header({ jku: 'https://attacker.example/jwks.json' })],
  ['x5u', header({ x5u: 'https://attacker.example/cert.pem' })],
  ['x5c', header({ x5c: ['MIIB'] })],
  ['a kid that is a path', header({ kid: '../../../../dev/null' })],
  ['a kid that is SQL', header({ kid: "x' UNION SELECT 'a" })],
  ['a kid that is a number', header({ kid: 7 })],
  ['a kid of 129 characters', header({ kid: 'k'.repeat(129) })],
  ['PS256 with the RSA key', rawToken({ alg: 'PS256', typ: 'JWT' }, claimsOf(), rsa.privateKey, 'PS256')],
  ['RS256 header over an ES256 verifier', good, 'ES256'],
  ['another key', rawToken(HEADER, claimsOf(), stranger.privateKey, 'RS256')],
  ['a flipped bit in the signature', `${goodHead}.${goodBody}.${flipped(goodSignature, 10)}`],
  ['a flipped bit in the payload', `${goodHead}.${flipped(goodBody, 12)}.${goodSignature}`],
  [
    'an all-zero ECDSA signature (CVE-2022-21449)',
    `${part({ alg: 'ES256', typ: 'JWT' })}.${goodBody}.${part('\0'.repeat(64))}`,
    'ES256',
  ],
  ['padding', `${goodHead}=.${goodBody}.${goodSignature}`],
  [
    'a non-canonical last character',
    `${goodHead}.${goodBody}.${goodSignature.slice(0, -1)}${nextSign(goodSignature.at(-1) ?? '')}`,
  ],
  ['standard base64 signs', `${goodHead}.${goodBody}.+/${goodSignature.slice(2)}`],
  ['leading white space (CVE-2026-34950)', ` ${good}`],
  ['a trailing newline', `${good}\n`],
  ['an extra dot', `${good}.`],
  ['a JWE shape', `${goodHead}.a.b.c.d`],
  ['an empty text', ''],
  ['an array as payload', rs(HEADER, '[1]')],
  ['a string as payload', rs(HEADER, '"text"')],
  ['null as payload', rs(HEADER, 'null')],
  ['no JSON as payload', rs(HEADER, '{"exp":')],
  ['bytes that are no UTF-8 as payload', invalidUtf8()],
  ['exp as text', claims({ exp: String(NOW_S + 600) })],
  ['a negative exp', claims({ exp: -1 })],
  ['a null exp', claims({ exp: null })],
  ['a missing exp', without('exp')],
  ['an exp in the past', claims({ exp: NOW_S - 6 })],
  ['an exp in milliseconds', claims({ exp: (NOW_S + 600) * 1000 })],
  ['an exp of 1e308', rs(HEADER, bodyText.replace(/"exp":\d+/, '"exp":1e308'))],
  ['an exp of 1e999', rs(HEADER, bodyText.replace(/"exp":\d+/, '"exp":1e999'))],
  ['a lifetime beyond a year', claims({ exp: NOW_S + 31_536_100 })],
  ['a lifetime beyond a year hidden behind a late iat', claims({ iat: 0 })],
  ['nbf in the future', claims({ nbf: NOW_S + 60 })],
  ['nbf as text', claims({ nbf: 'now' })],
  ['iat an hour ahead', claims({ iat: NOW_S + 3600 })],
  ['iat as text', claims({ iat: '0' })],
  ['a wrong aud', claims({ aud: 'other' })],
  ['an aud that contains ours as a part', claims({ aud: 'gateway2' })],
  ['a missing aud', without('aud')],
  ['an aud object', claims({ aud: { 0: 'gateway' } })],
  ['a wrong iss', claims({ iss: 'other' })],
  ['a missing iss', without('iss')],
  ['an iss array (CVE-2025-30144)', claims({ iss: ['other', 'issuer'] })],
  ['an unknown crit', header({ crit: ['exp'], exp: 1 })],
  ['crit b64', header({ crit: ['b64'], b64: false })],
  ['b64 without crit', header({ b64: false })],
  ['a zip header', header({ zip: 'DEF' })],
  ['a nested token', header({ cty: 'JWT' })],
  ['typ id_token+jwt', header({ typ: 'id_token+jwt' })],
  ['typ as a number', header({ typ: 1 })],
  ['a missing typ', rs({ alg: 'RS256' })],
  ['a missing alg', rs({ typ: 'JWT' })],
  ['an alg array', rs({ alg: ['RS256'], typ: 'JWT' })],
  ['a duplicate account_ids claim', doubled(bodyText.replace('{', '{"account_ids":["account_999"],'))],
  ['a duplicate claim spelled with an escape', doubled(bodyText.replace('{', '{"\\u0061ccount_ids":["account_999"],'))],
  ['a duplicate header key', rs('{"alg":"none","alg":"RS256","typ":"JWT"}')],
  ['a duplicate key in a nested object', doubled(bodyText.replace('{', '{"x":{"a":1,"a":2},'))],
  ['a header of 200 KB', header({ fill: 'x'.repeat(200_000) })],
  ['a token just above 8 KB', claims({ fill: 'x'.repeat(6000) })],
  ['permissions as text', claims({ permissions: 'read' })],
  ['permissions ["*"]', claims({ permissions: ['*'] })],
  ['an unknown permission', claims({ permissions: ['read', 'root'] })],
  ['a permission in capitals', claims({ permissions: ['ADMIN'] })],
  ['permissions as an object', claims({ permissions: { read: true } })],
  ['permissions with a number', claims({ permissions: ['read', 1] })],
  ['account_id and account_ids together', claims({ account_id: 'account_001' })],
  ['account_ids as text', claims({ account_ids: 'account_001' })],
  ['account_ids with a star inside', claims({ account_ids: ['*'] })],
  ['account_ids with a path', claims({ account_ids: ['../account_002'] })],
  ['account_ids with a number', claims({ account_ids: [1] })],
  ['account_id as an array', rs(HEADER, bodyText.replace(/"account_ids"/, '"account_id"'))],
  ['sub as a number', claims({ sub: 1 })],
  ['an empty sub', claims({ sub: '' })],
  ['jti as an object', claims({ jti: {} })],
  ['a revoked jti', claims({ jti: 'revoked-1' })],
  ['a subject whose older tokens are refused', claims({ sub: 'locked-out' })],
  [
    'the same subject without iat',
    rs(HEADER, Object.fromEntries(Object.entries(claimsOf({ sub: 'locked-out' })).filter(([key]) => key !== 'iat'))),
  ],
  [
    'a __proto__ claim for permissions',
    doubled('{"__proto__":{"exp":9999999999,"permissions":["admin"]},"iss":"issuer","aud":"gateway"}'),
  ],
];

test.each(attacks)('%s is refused', async (_, token, family = 'RS256') => {
  expect(await outcome(family, token)).not.toBe('accepted');
});

test.each([
  ['a short secret', { algorithms: ['HS256'], secret: 'short' }],
  ['a PEM as secret', { algorithms: ['HS256'], secret: pem }],
  ['a sealed secret', { algorithms: ['HS256'], secret: `enc:1.${'a'.repeat(40)}` }],
  ['an RSA key of 1024 bits', { publicKeyFile: keyFile('weak.pem', rsaPair(1024).publicKey) }],
  ['a key of another family', { algorithms: ['ES256'], publicKeyFile: keyFile('rsa2.pem', rsa.publicKey) }],
])('a verifier with %s does not open', async (_, over) => {
  const opening = JwtVerifier.open({ ...base, ...over }, { clock: new ManualClock(), log: silentLog });

  await expect(opening).rejects.toBeInstanceOf(GatewayError);
});

/** The last character of a 256-byte signature carries spare bits: another one decodes to the same bytes. */
function nextSign(sign: string): string {
  const signs = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return signs[signs.indexOf(sign) ^ 1] ?? '';
}

function invalidUtf8(): string {
  const head = `${part(HEADER)}.${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')}`;
  return `${head}.${signRaw(head, 'RS256', rsa.privateKey)}`;
}
