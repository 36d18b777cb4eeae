/**
 * Every parser of ours with what may come its way from outside: texts near the good ones, and texts out of nowhere. A
 * target throws when its parser breaks a promise; a refusal is a promise kept.
 */
import fc from 'fast-check';
import { checkLine, parseRecord } from '../../src/kernel/audit/chain.js';
import { readClaims } from '../../src/kernel/auth/claims.js';
import { parseStrictObject } from '../../src/kernel/auth/strict-json.js';
import { readShape } from '../../src/kernel/auth/token-shape.js';
import { configSchema } from '../../src/kernel/config/schema.js';
import { validate } from '../../src/kernel/config/validate.js';
import { isMapping, parseYaml } from '../../src/kernel/config/yaml.js';
import { encodeFrame, FrameReader, type Frame } from '../../src/kernel/ipc/frame.js';
import { decodeRecord, encodeRecord } from '../../src/kernel/journal/record-codec.js';
import { rawElements, rawMembers } from '../../src/kernel/runtime/raw-json.js';
import { readEnvelope, writeEnvelope } from '../../src/kernel/secrets/envelope.js';
import { redactText } from '../../src/kernel/telemetry/redaction.js';
import { parseOccSymbol } from '../../src/threads/occ-symbol.js';
import { parseJsonText } from '../../src/workers/http/json-text.js';
import { parseQuery } from '../../src/workers/http/query-text.js';
import { normalizeSymbol } from '../../src/workers/market-data/symbols.js';
import { parseClientMessage } from '../../src/workers/streams/client-message.js';
import { anyText, expectThat, json, near, objectOf, orRefused } from './fuzz-arbitraries.js';
import { BROKER_PROPERTIES } from './fuzz-broker-targets.js';

export interface FuzzTarget {
  readonly name: string;
  readonly property: fc.IRawProperty<unknown>;
}

const base64url = (text: string): string => Buffer.from(text).toString('base64url');
const POLICY = {
  algorithms: ['HS256'],
  clockToleranceS: 5,
  maxLifetimeS: 1e6,
  revokedTokenIds: [],
  notBefore: {},
};

const symbols = fc.property(near(fc.constantFrom('AAPL', 'BRK.B', 'AAPL260116C00150000', ' spy ')), (text) => {
  for (const kind of ['stock', 'option'] as const) {
    const symbol = normalizeSymbol(kind, text);
    expectThat(symbol === undefined || /^[A-Z0-9.-]{1,21}$/.test(symbol), 'a symbol is letters, digits, dot and dash');
    expectThat(symbol === undefined || normalizeSymbol(kind, symbol) === symbol, 'a symbol is its own spelling');
  }
});

const occSymbols = fc.property(near(fc.constantFrom('AAPL260116C00150000', 'BRK.B260116P00000500')), (text) => {
  const parts = parseOccSymbol(text);
  expectThat(parts === undefined || /^\d+(?:\.\d*[1-9])?$/.test(parts.strikePrice), 'a strike is a decimal text');
});

const strictJson = fc.property(fc.oneof(near(json), anyText), (text) => {
  const value = parseStrictObject(text);
  if (value === undefined || value === 'duplicate-key') return;
  expectThat(JSON.stringify(value) === JSON.stringify(JSON.parse(text)), 'the object is what the text says');
});

const doubledKeys = fc.property(objectOf(['sub', 'exp', 'account_id']), fc.jsonValue(), (object, value) => {
  const [key] = Object.keys(object);
  if (key === undefined) return;
  const text = `{${JSON.stringify(key)}:${JSON.stringify(value)},${JSON.stringify(object).slice(1)}`;
  expectThat(parseStrictObject(text) === 'duplicate-key', 'a key given twice is seen');
});

const claimNames = ['sub', 'exp', 'iat', 'nbf', 'iss', 'aud', 'jti', 'permissions', 'account_id', 'account_ids'];
const claims = fc.property(objectOf(claimNames), (object) => {
  const verdict = orRefused(() => readClaims({ exp: 2_000_000, ...object }, POLICY, 1_999_000, 'key'));
  expectThat(verdict === undefined || Number.isFinite(verdict.expiresAt), 'a token ends');
});

const header = fc.oneof(
  fc.constant('{"alg":"HS256","typ":"JWT"}'),
  objectOf(['alg', 'typ', 'kid', 'crit']).map((one) => JSON.stringify(one)),
);
const tokens = fc.property(
  near(
    fc
      .tuple(header, fc.oneof(json, fc.constant('{"exp":1}')))
      .map(([head, body]) => `${base64url(head)}.${base64url(body)}.AAAA`),
  ),
  (token) => {
    const shape = orRefused(() => readShape(token));
    expectThat(shape === undefined || token.split('.').length === 3, 'a token has three parts');
  },
);

const YAML =
  'server: { host: 127.0.0.1, port: 8090 }\nauth:\n  secret: "0123456789abcdef0123456789abcdef"\ntrading_accounts:\n  - account_id: "a"\n    api_key: K\n';
const configuration = fc.property(fc.oneof(near(fc.constant(YAML)), near(json), anyText), (text) => {
  const value = orRefused(() => parseYaml('f.yaml', text));
  if (isMapping(value)) validate(configSchema, value);
});

const frameOf: fc.Arbitrary<Frame> = fc
  .record({ header: fc.jsonValue(), body: fc.uint8Array({ maxLength: 60 }), callId: fc.nat() })
  .map(({ header, body, callId }) => ({
    kind: 'call',
    channel: 'account',
    callId,
    header,
    ...(body.length > 0 && { body }),
  }));
function cutAt(bytes: Buffer, places: readonly number[]): readonly Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}
const frames = fc.property(
  fc.array(frameOf, { maxLength: 4 }),
  fc.array(fc.nat(), { maxLength: 6 }),
  (sent, places) => {
    const reader = new FrameReader();
    const bytes = Buffer.concat(sent.flatMap((frame) => encodeFrame(frame)));
    const read = cutAt(bytes, places).flatMap((chunk) => [...reader.push(chunk)]);
    expectThat(read.length === sent.length, 'as many frames come out as went in');
    for (const [index, frame] of read.entries())
      expectThat(
        JSON.stringify(frame.header) === JSON.stringify(sent[index]?.header),
        'a header comes out as it went in',
      );
  },
);
const brokenFrames = fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }), (chunks) => {
  const reader = new FrameReader();
  orRefused(() => {
    for (const chunk of chunks)
      for (const frame of reader.push(Buffer.from([0, 0, 0, ...chunk])))
        expectThat(frame.callId >= 0, 'a frame has a call id');
  });
});

const part = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes));
const envelopes = fc.property(
  near(
    fc
      .tuple(part, part)
      .map(([wrapped, sealed]) => writeEnvelope({ derivation: { kind: 'raw' }, keyId: 'k', wrapped, sealed })),
  ),
  (text) => {
    const envelope = orRefused(() => readEnvelope(text));
    expectThat(envelope === undefined || writeEnvelope(envelope) === text, 'an envelope has one spelling');
  },
);

const messageNames = ['action', 'token', 'quotes', 'trades', 'option_quotes', 'orders', 'account_id', 'epoch', 'seq'];
const message = fc
  .tuple(fc.constantFrom('auth', 'subscribe', 'unsubscribe', 'resume', 'ping', 'toString'), objectOf(messageNames))
  .map(([action, rest]) => JSON.stringify({ action, ...rest }));
const clientMessages = fc.property(fc.oneof(message, near(message), anyText), (text) => {
  const parsed = parseClientMessage(text);
  if (parsed.kind !== 'subscribe') return;
  for (const list of parsed.lists.feeds.values())
    expectThat(
      list.every((symbol) => /^[A-Z0-9.-]+$/.test(symbol)),
      'only symbols are subscribed',
    );
});

const rawJson = fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 1, '\t'), (value, space) => {
  const text = JSON.stringify(value, undefined, space);
  if (Array.isArray(value)) {
    const back = rawElements(text).map((item) => JSON.stringify(JSON.parse(item)));
    expectThat(`[${back.join()}]` === JSON.stringify(value), 'the elements are those of the array');
  } else if (isMapping(value)) {
    const back = rawMembers(text).map(([key, item]) => `${JSON.stringify(key)}:${JSON.stringify(JSON.parse(item))}`);
    expectThat(`{${back.join()}}` === JSON.stringify(value), 'the members are those of the object');
  }
});

const bodies = fc.property(fc.oneof(json, near(json), anyText), (text) => {
  const value = orRefused(() => parseJsonText(text));
  // What is taken here is JSON to everybody.
  if (value !== undefined) JSON.parse(text);
});
const longBodies = fc.property(
  fc.integer({ min: 1, max: 1_000_000 }),
  fc.constantFrom('a', '\\n', ' ', '[', '9', '\\u00e9'),
  (count, sign) => {
    const piece = sign.repeat(Math.floor(count / sign.length));
    for (const text of [`{"a":"${piece}"}`, `{"a":"${piece}`, `${piece}1`, `{"a":${piece}}`])
      orRefused(() => parseJsonText(text));
  },
);

const queries = fc.property(
  fc.oneof(
    near(fc.constantFrom('/a?symbols=AAPL,MSFT&limit=10&x=%C3%A9')),
    anyText.map((text) => `/?${text}`),
  ),
  (text) => {
    // As Node hands a target on: a character for each byte of the wire.
    const parsed = parseQuery(Buffer.from(text).toString('latin1'));
    if (parsed.kind === 'values') for (const value of Object.values(parsed.values)) encodeURIComponent(value);
  },
);

const HEAD = { seq: 0, hash: '0'.repeat(64) };
const line = JSON.stringify({ seq: 1, at: 'x', previous: HEAD.hash, kind: 'intent', hash: '1'.repeat(64) });
const auditLines = fc.property(fc.oneof(near(fc.constant(line)), near(json), anyText), (text) => {
  parseRecord(text);
  expectThat(!checkLine(text, HEAD).ok, 'a line without the right hash is no record');
});

const journalRecords = fc.property(
  fc.string(),
  fc.jsonValue(),
  fc.nat(),
  fc.integer({ min: 1, max: 255 }),
  (key, payload, at, flip) => {
    const bytes = encodeRecord(key, payload);
    expectThat(JSON.stringify(decodeRecord(key, bytes)) === JSON.stringify(payload), 'a record comes back as it was');
    const index = at % bytes.length;
    bytes[index] = (bytes[index] ?? 0) ^ flip;
    expectThat(orRefused(() => decodeRecord(key, bytes) ?? true) === undefined, 'a changed record is found');
  },
);
const journalBytes = fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
  expectThat(orRefused(() => decodeRecord('k', bytes) ?? true) === undefined, 'chance makes no record');
});

const secret = fc.stringMatching(/^[\w-]{24}$/);
const logTexts = fc.property(anyText, secret, anyText, (before, value, after) => {
  const text = redactText(`${before} Bearer ${value} ${after}`);
  expectThat(!text.includes(value), 'a bearer value is not logged');
});

export const FUZZ_TARGETS: readonly FuzzTarget[] = Object.entries({
  symbols,
  occSymbols,
  strictJson,
  doubledKeys,
  claims,
  tokens,
  configuration,
  frames,
  brokenFrames,
  envelopes,
  clientMessages,
  rawJson,
  bodies,
  longBodies,
  queries,
  auditLines,
  journalRecords,
  journalBytes,
  logTexts,
  ...BROKER_PROPERTIES,
}).map(([name, property]) => ({ name, property: property }));
