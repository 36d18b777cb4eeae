/**
 * Alpaca's data stream frames: msgpack arrays of records by one-letter names (docs/broker-wire.md#data-stream-records).
 * Times come as the msgpack timestamp extension in nanoseconds, which no Date holds: they become RFC 3339 text here.
 */
import { decodeTimestampToTimeSpec, Decoder, EXT_TIMESTAMP, ExtensionCodec } from '@msgpack/msgpack';
import { isRecord, type BrokerRecord } from '../../kernel/shared-memory/record-text.js';

export class FrameDecoder {
  readonly #decoder: Decoder;
  #second = -1;
  #secondText = '';

  constructor() {
    const extensionCodec = new ExtensionCodec();
    extensionCodec.register({
      type: EXT_TIMESTAMP,
      encode: () => null,
      decode: (data) => {
        const { sec, nsec } = decodeTimestampToTimeSpec(data);
        return this.#rfc3339(sec, nsec);
      },
    });
    // Trade ids are unsigned 64-bit.
    this.#decoder = new Decoder({ extensionCodec, useBigInt64: true });
  }

  /** Empty for a frame that is no array of records; the connection is none the worse for it. */
  decode(frame: Uint8Array): readonly BrokerRecord[] {
    try {
      const value = this.#decoder.decode(frame);
      return Array.isArray(value) ? value.filter(isRecord) : [];
    } catch {
      return [];
    }
  }

  /** Most records of a frame share their second. */
  #rfc3339(sec: number, nsec: number): string {
    if (sec !== this.#second) {
      this.#second = sec;
      this.#secondText = new Date(sec * 1_000).toISOString().slice(0, 19);
    }
    if (nsec === 0) return `${this.#secondText}Z`;
    return `${this.#secondText}.${String(nsec).padStart(9, '0').replace(/0+$/, '')}Z`;
  }
}

/** Whether `a` is later than `b`, both RFC 3339 UTC with any number of fraction digits. */
export function isLater(a: string, b: string): boolean {
  const secondsA = a.slice(0, 19);
  const secondsB = b.slice(0, 19);
  if (secondsA !== secondsB) return secondsA > secondsB;
  return fraction(a) > fraction(b);
}

function fraction(time: string): string {
  return /\.(\d+)/.exec(time)?.[1]?.padEnd(9, '0') ?? '000000000';
}
