/** Attack tokens at the doors of a whole gateway: HTTP, the operator's door, and the three ways into the stream. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { startGateway, type GatewayProcess } from '../support/gateway-process.js';
import { claimsOf, part, rawToken, rsaPair } from '../support/raw-token.js';

const rsa = rsaPair();
const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string;
const directory = mkdtempSync(join(tmpdir(), 'opitios-token-'));
let gateway: GatewayProcess;

beforeAll(async () => {
  const file = join(directory, 'issuer.pem');
  writeFileSync(file, pem);
  gateway = await startGateway({
    accounts: 2,
    workers: 1,
    config: {
      admin: { audience: 'operators' },
      auth: { algorithms: ['RS256'], public_key_file: file, issuer: 'issuer', audience: 'gateway' },
    },
    editConfig: (config) => {
      delete (config['auth'] as { secret?: string }).secret;
    },
  });
}, 60_000);
afterAll(async () => {
  await gateway.stop();
  rmSync(directory, { recursive: true, force: true });
}, 30_000);

const HEADER = { alg: 'RS256', typ: 'JWT' };
const nowS = (): number => Math.floor(Date.now() / 1000);
const claims = (over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> =>
  claimsOf({
    iat: nowS() - 5,
    exp: nowS() + 600,
    permissions: ['market_data', 'read', 'admin'],
    account_ids: '*',
    ...over,
  });
const rs = (header: unknown, body: unknown): string => rawToken(header, body, rsa.privateKey, 'RS256');

const ATTACKS: readonly (readonly [name: string, make: () => string])[] = [
  ['alg none', () => `${part({ alg: 'none', typ: 'JWT' })}.${part(claims())}.AA`],
  ['HS256 keyed with the public PEM', () => rawToken({ alg: 'HS256', typ: 'JWT' }, claims(), pem, 'HS256')],
  ['a stranger’s key', () => rawToken(HEADER, claims(), rsaPair().privateKey, 'RS256')],
  ['an expired token', () => rs(HEADER, claims({ iat: nowS() - 600, exp: nowS() - 60 }))],
  ['another audience', () => rs(HEADER, claims({ aud: 'elsewhere' }))],
  ['another typ', () => rs({ alg: 'RS256', typ: 'id_token+jwt' }, claims())],
  ['an unknown crit', () => rs({ ...HEADER, crit: ['x'], x: 1 }, claims())],
  ['a claim given twice', () => rs(HEADER, JSON.stringify(claims()).replace('{', '{"sub":"other",'))],
  ['the subject of the gateway itself', () => rs(HEADER, claims({ sub: 'system' }))],
  ['the subject of callers without one', () => rs(HEADER, claims({ sub: 'anonymous' }))],
  ['the star as a permission', () => rs(HEADER, claims({ permissions: ['*'] }))],
];

async function overHttp(token: string, base = `${gateway.url}/api/v1`, path = '/accounts'): Promise<number> {
  const response = await fetch(base + path, { headers: { authorization: `Bearer ${token}` } });
  await response.text();
  return response.status;
}

const streamUrl = (): string => `${gateway.url.replace('http', 'ws')}/api/v1/stream`;

/** `101` when the socket opens, else the refusal's status. */
async function upgrade(protocols: readonly string[], headers: Readonly<Record<string, string>>): Promise<number> {
  const socket = new WebSocket(streamUrl(), [...protocols], { headers: { ...headers } });
  socket.on('error', () => undefined);
  const status = await new Promise<number>((resolve) => {
    socket.once('open', () => resolve(101));
    socket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
  });
  socket.terminate();
  return status;
}

async function byMessage(token: string): Promise<number> {
  const socket = new WebSocket(streamUrl());
  await once(socket, 'open');
  const answered = new Promise<number>((resolve) => {
    socket.once('close', resolve);
    socket.on('message', (data: Buffer) => {
      if (data.toString().includes('"type":"subscription"')) resolve(0);
    });
  });
  socket.send(JSON.stringify({ action: 'auth', token }));
  const code = await answered;
  socket.terminate();
  return code;
}

async function atEveryDoor(token: string): Promise<readonly number[]> {
  return [
    await overHttp(token),
    await overHttp(token, gateway.adminUrl, '/pool'),
    await upgrade([], { authorization: `Bearer ${token}` }),
    await upgrade([`bearer.${token}`], {}),
    await byMessage(token),
  ];
}

test('a good token opens every door, the operator’s only with the audience of operators', async () => {
  expect(await atEveryDoor(rs(HEADER, claims()))).toEqual([200, 401, 101, 101, 0]);
  expect(await atEveryDoor(rs(HEADER, claims({ aud: ['gateway', 'operators'] })))).toEqual([200, 200, 101, 101, 0]);
});

test.each(ATTACKS)('%s opens no door', async (_name, make) => {
  expect(await atEveryDoor(make())).toEqual([401, 401, 401, 401, 4401]);
});

test('a token of 200 KB is refused by its size at every door', async () => {
  const huge = rs({ ...HEADER, filler: 'a'.repeat(200_000) }, claims());

  expect(await overHttp(huge)).toBe(431);
  expect(await upgrade([], { authorization: `Bearer ${huge}` })).toBe(431);
  expect(await upgrade([`bearer.${huge}`], {})).toBe(431);
  expect(await byMessage(huge)).toBe(1009);
});

async function openSocket(token: string): Promise<{ readonly closed: Promise<number> }> {
  const socket = new WebSocket(streamUrl(), { headers: { authorization: `Bearer ${token}` } });
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await once(socket, 'open');
  return { closed };
}

test('a token revoked by a reload, and one whose time is over, close their live sockets with 4401', async () => {
  const revoked = await openSocket(rs(HEADER, claims({ jti: 'to-be-revoked' })));
  const kept = await openSocket(rs(HEADER, claims({ jti: 'kept' })));
  let isKept = true;
  void kept.closed.then(() => (isKept = false));
  gateway.rewriteConfig((config) => {
    (config['auth'] as Record<string, unknown>)['revoked_token_ids'] = ['to-be-revoked'];
  });
  const expiresAt = nowS() + 3;
  const shortLived = await openSocket(rs(HEADER, claims({ exp: expiresAt })));

  expect(await revoked.closed).toBe(4401);
  expect(await shortLived.closed).toBe(4401);
  const lateS = Date.now() / 1000 - expiresAt;
  console.info(`the socket of an ended token closed ${lateS.toFixed(1)} s after its end`);
  expect(isKept).toBe(true);
  expect(await overHttp(rs(HEADER, claims({ jti: 'to-be-revoked' })))).toBe(401);
}, 30_000);

test('a token without a subject reads, and does not trade', async () => {
  const token = rs(HEADER, claims({ sub: undefined, permissions: ['read', 'trade'] }));
  const path = `/accounts/${gateway.accountIds[0] ?? ''}/orders/stocks`;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
  const response = await fetch(`${gateway.url}/api/v1${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(order),
  });

  expect(await overHttp(token)).toBe(200);
  expect(response.status).toBe(403);
  expect(await response.text()).toContain('names no subject');
});
