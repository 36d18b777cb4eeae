/**
 * The two codecs of the data streams. A record is encoded once per codec and joined into frames afterwards, because one
 * record goes to many sockets and one frame holds many records. Times are the timestamp extension in msgpack and text
 * in JSON; trade ids are 64-bit integers in msgpack.
 */
import { decode, encodeTimeSpecToTimestamp, Encoder, ExtensionCodec } from '@msgpack/msgpack';
import { averageOf } from '../rest/wire.js';
import type { Bar } from '../price-walk.js';
import { instantText, type Instant, type Quote, type Trade, type Update } from '../records.js';

export type CodecName = 'json' | 'msgpack';
type Fields = Readonly<Record<string, unknown>>;

/** A time inside a record to be encoded. */
class WireTime {
  constructor(readonly instant: Instant) {}

  toJSON(): string {
    return instantText(this.instant);
  }
}

/** An id that must not become a 32-bit number on the wire. */
class WireId {
  constructor(readonly value: number) {}

  toJSON(): number {
    return this.value;
  }
}

export interface Codec {
  readonly name: CodecName;
  readonly isBinary: boolean;
  encode(record: Fields): Buffer;
  /** One frame from encoded records. */
  join(parts: readonly Buffer[]): Buffer;
  /** What the client sent; throws on anything that is not of this codec. */
  decode(data: Buffer): unknown;
}

const COMMA = Buffer.from(',');
const OPEN = Buffer.from('[');
const CLOSE = Buffer.from(']');

const jsonCodec: Codec = {
  name: 'json',
  isBinary: false,
  encode: (record) => Buffer.from(JSON.stringify(record)),
  join(parts) {
    const pieces: Buffer[] = [OPEN];
    for (const [at, part] of parts.entries()) {
      if (at > 0) pieces.push(COMMA);
      pieces.push(part);
    }
    pieces.push(CLOSE);
    return Buffer.concat(pieces);
  },
  decode: (data) => JSON.parse(data.toString('utf8')) as unknown,
};

function msgpackCodec(): Codec {
  const extensions = new ExtensionCodec();
  extensions.register({
    type: -1,
    encode: (value) => {
      if (!(value instanceof WireTime)) return null;
      const { ms, ns } = value.instant;
      return encodeTimeSpecToTimestamp({ sec: Math.floor(ms / 1000), nsec: (ms % 1000) * 1_000_000 + ns });
    },
    decode: () => undefined,
  });
  const encoder = new Encoder({ extensionCodec: extensions, useBigInt64: true });
  return {
    name: 'msgpack',
    isBinary: true,
    encode: (record) => Buffer.from(encoder.encode(withBigIds(record))),
    join: (parts) => Buffer.concat([arrayHeader(parts.length), ...parts]),
    decode: (data) => decode(data, { useBigInt64: false }),
  };
}

/** BigInt is what makes the encoder write 64 bits. */
function withBigIds(record: Fields): Fields {
  if (!Object.values(record).some((value) => value instanceof WireId)) return record;
  return Object.fromEntries(
    Object.entries(record).map(([key, value]) => [key, value instanceof WireId ? BigInt(value.value) : value]),
  );
}

function arrayHeader(length: number): Buffer {
  if (length < 16) return Buffer.from([0x90 | length]);
  if (length < 0x10000) return Buffer.from([0xdc, length >> 8, length & 0xff]);
  const header = Buffer.alloc(5);
  header[0] = 0xdd;
  header.writeUInt32BE(length, 1);
  return header;
}

/** The codec that a handshake's Content-Type asks for; JSON unless it names msgpack. */
export function createCodecs(): Readonly<Record<CodecName, Codec>> {
  return { json: jsonCodec, msgpack: msgpackCodec() };
}

const BAR_TYPES = { bars: 'b', updatedBars: 'u', dailyBars: 'd' } as const;
const EVENT_TYPES = { statuses: 's', lulds: 'l', imbalances: 'i', corrections: 'c', cancelErrors: 'x' } as const;
const ID_FIELDS = new Set(['i', 'oi', 'ci']);

/** An update as the record of its stream, not yet encoded. */
export function recordOf(update: Update): Fields {
  switch (update.kind) {
    case 'quote':
      return quoteRecord(update.quote, update.isOption);
    case 'trade':
      return tradeRecord(update.trade, update.isOption);
    case 'bar':
      return barRecord(BAR_TYPES[update.channel], update.symbol, update.bar);
    case 'event': {
      const fields = Object.entries(update.fields).map(([key, value]) => [
        key,
        typeof value === 'number' && ID_FIELDS.has(key) ? new WireId(value) : value,
      ]);
      const rest = Object.fromEntries(fields) as Fields;
      return { T: EVENT_TYPES[update.channel], S: update.symbol, ...rest, t: new WireTime(update.at) };
    }
  }
}

function quoteRecord({ symbol, bx, bp, bs, ax, ap, as, at }: Quote, isOption: boolean): Fields {
  const sides = { bx, bp, bs, ax, ap, as };
  const t = new WireTime(at);
  if (isOption) return { T: 'q', S: symbol, t, ...sides, c: bp === 0 ? ' ' : 'A' };
  return { T: 'q', S: symbol, ...sides, t, c: ['R'], z: 'C' };
}

function tradeRecord({ symbol, i, x, p, s, at }: Trade, isOption: boolean): Fields {
  const t = new WireTime(at);
  if (isOption) return { T: 't', S: symbol, t, p, s, x, c: 'I' };
  return { T: 't', S: symbol, i: new WireId(i), x, p, s, c: ['@'], t, z: 'C' };
}

function barRecord(type: string, symbol: string, bar: Bar): Fields {
  const { o, h, l, c, v, n } = bar;
  return { T: type, S: symbol, o, h, l, c, v, n, vw: averageOf(bar), t: new WireTime({ ms: bar.at, ns: 0 }) };
}
