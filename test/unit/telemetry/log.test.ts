import { Writable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { createLog, type LeveledLog } from '../../../src/kernel/telemetry/bunyan-log.js';
import { GatewayError } from '../../../src/kernel/domain/errors.js';

function capture(level: 'info' | 'trace' = 'trace'): { readonly log: LeveledLog; readonly lines: () => string[] } {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString('utf8');
      done();
    },
  });
  return { log: createLog({ level, stream, fields: { role: 'worker' } }), lines: () => text.split('\n').slice(0, -1) };
}

const TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.CANARY-signature_part';

test.each([
  ['a secret by name', { secretKey: 'CANARY' }],
  ['an api key deep inside', { request: { options: { api_key: 'CANARY' } } }],
  ['the broker headers', { headers: { 'APCA-API-KEY-ID': 'CANARY', 'apca-api-secret-key': 'CANARY' } }],
  ['an Authorization header', { headers: { Authorization: 'Bearer CANARY-token-text' } }],
  ['a header list', { rawHeaders: ['Authorization', `Bearer ${TOKEN}`] }],
  ['a token in a sentence', { detail: `refused ${TOKEN} today` }],
  ['a token under another name', { value: TOKEN }],
  ['a subprotocol', { protocol: `bearer.${TOKEN}` }],
  ['a map', { headers: new Map([['authorization', 'CANARY']]) }],
  [
    'an error and its cause',
    { cause: new GatewayError('SECRET_INVALID', { apiKey: 'CANARY' }, { cause: { password: 'CANARY' } }) },
  ],
  ['an error message', { cause: new GatewayError('PEER_GONE', {}, { message: `Bearer ${TOKEN}` }) }],
  ['a sealed value', { text: 'enc:1.raw.CANARY.CANARY.CANARY' }],
  ['header text', { dump: 'APCA-API-SECRET-KEY: CANARY' }],
])('%s does not reach the log', (_, fields) => {
  const { log, lines } = capture();

  log.child({ accountId: 'account_001' }).info(fields, 'event');

  expect(lines()).toHaveLength(1);
  expect(lines()[0]).not.toContain('CANARY');
  expect(JSON.parse(lines()[0] ?? '')).toMatchObject({ msg: 'event', role: 'worker', accountId: 'account_001' });
});

test('no text can forge a line or drive a terminal', () => {
  const { log, lines } = capture();

  log.info({ symbol: 'A\n{"level":60,"msg":"forged"}\u001b[2J\u2028\u009b31m', 'na\nme': 1 }, 'one\nevent');

  expect(lines()).toHaveLength(1);
  // eslint-disable-next-line no-control-regex -- the point of the test
  expect(lines()[0]).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028]/);
});

test('fields do not replace what the log itself says', () => {
  const { log, lines } = capture();

  log.info({ level: 60, time: 'never', msg: 'other', pid: 1, name: 'account' }, 'event');

  expect(JSON.parse(lines()[0] ?? '')).toMatchObject({
    level: 30,
    msg: 'event',
    name: 'opitios',
    level_: 60,
    name_: 'account',
  });
});

test.each([
  ['plain', { requestId: 'a-1', status: 200, totalMs: 1.25, subject: undefined, problem: null, done: true }],
  ['quotes and backslashes', { text: 'a"b\\c', 'na"me': 'x' }],
  ['control, C1 and bidi signs', { text: 'a\n\u0085\u202e\u0000', 'na\nme': 1 }],
  ['other scripts', { text: 'prix: 5 €, 株' }],
  ['numbers that JSON has not', { a: Number.NaN, b: Infinity, c: 12n }],
  ['objects', { at: new Date(0), list: [1, 'b', undefined], deep: { token: 'x', when: undefined } }],
  ['secrets', { apiKey: 'CANARY', password: null, secret: 5, token: false, text: `Bearer ${TOKEN}` }],
  ['huge text', { text: 'x"'.repeat(5_000) }],
  ['many fields', Object.fromEntries(Array.from({ length: 150 }, (_, at) => [`f${String(at)}`, at]))],
  ['functions and symbols', { run: () => 1, sign: Symbol('s') }],
])('a line of information has the shape of every other line: %s', (_, fields) => {
  const { log, lines } = capture();

  log.info(fields, 'one "event"');
  log.warn(fields, 'one "event"');

  const [info, warn] = lines().map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(Object.keys(info ?? {}).sort()).toEqual(Object.keys(warn ?? {}).sort());
  expect({ ...info, level: 0, time: '' }).toEqual({ ...warn, level: 0, time: '' });
  expect(info?.['level']).toBe(30);
  expect(info?.['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('a field wins over what is on every line, and an absent one does not', () => {
  const { log, lines } = capture();

  log.info({ role: 'hub' }, 'event');
  log.info({ role: undefined }, 'event');

  expect(lines().map((line) => (JSON.parse(line) as Record<string, unknown>)['role'])).toEqual(['hub', 'worker']);
});

test('loops, huge texts and functions end', () => {
  const { log, lines } = capture();
  const loop: Record<string, unknown> = { text: 'x'.repeat(1_000_000), run: () => 1, big: 1n };
  loop['self'] = loop;

  log.info(loop, 'event');

  expect(lines()[0]?.length).toBeLessThan(60_000);
});

test('the level holds for children and changes for them too', () => {
  const { log, lines } = capture('info');
  const child = log.child({ a: 1 });
  child.debug({}, 'not yet');

  log.setLevel('trace');
  child.debug({}, 'now');

  expect(lines().map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['now']);
});
