/**
 * Frames on a mesh socket: 4 bytes length of what follows, 1 byte kind, 1 byte channel, 4 bytes call id, 4 bytes header
 * length (big-endian all), then the header (JSON) and the body (bytes that nobody on the way looks into).
 */
import { GatewayError } from '../domain/errors.js';
import type { MeshChannel } from './mesh.js';

export const FRAME_KINDS = ['hello', 'call', 'answer', 'failure', 'notify', 'cancel'] as const;
export type FrameKind = (typeof FRAME_KINDS)[number];

export const CHANNELS: readonly MeshChannel[] = [
  'account',
  'market-data',
  'quotes',
  'order-events',
  'subscriptions',
  'status',
];

export interface Frame {
  readonly kind: FrameKind;
  readonly channel: MeshChannel;
  /** 0 where nothing answers. */
  readonly callId: number;
  readonly header: unknown;
  readonly body?: Uint8Array;
}

const PREFIX_BYTES = 14;
/** The largest answer is a whole option chain of some tens of megabytes. */
export const FRAME_BYTES_MAX = 128 << 20;

/** The prefix with the header, and the body as it is: it is not copied. */
export function encodeFrame(frame: Frame): readonly Uint8Array[] {
  const header = Buffer.from(JSON.stringify(frame.header ?? null));
  const bodyLength = frame.body?.byteLength ?? 0;
  const head = Buffer.allocUnsafe(PREFIX_BYTES + header.length);
  head.writeUInt32BE(PREFIX_BYTES - 4 + header.length + bodyLength, 0);
  head.writeUInt8(FRAME_KINDS.indexOf(frame.kind), 4);
  head.writeUInt8(CHANNELS.indexOf(frame.channel), 5);
  head.writeUInt32BE(frame.callId, 6);
  head.writeUInt32BE(header.length, 10);
  header.copy(head, PREFIX_BYTES);
  return frame.body === undefined || bodyLength === 0 ? [head] : [head, frame.body];
}

/** Cuts a byte stream into frames. Keeps chunks until a frame is whole: a large body is joined once, not once a chunk. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;

  /** @throws GatewayError FRAME_INVALID: the connection is of no use any more. */
  *push(chunk: Buffer): Generator<Frame> {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    for (;;) {
      const size = this.#nextSize();
      if (size === undefined || this.#length < size) return;
      const bytes = this.#join();
      this.#chunks = bytes.length === size ? [] : [bytes.subarray(size)];
      this.#length = bytes.length - size;
      yield decode(bytes.subarray(0, size));
    }
  }

  #nextSize(): number | undefined {
    if (this.#length < PREFIX_BYTES) return undefined;
    if ((this.#chunks[0]?.length ?? 0) < 4) this.#chunks = [this.#join()];
    const size = 4 + (this.#chunks[0]?.readUInt32BE(0) ?? 0);
    if (size < PREFIX_BYTES || size > FRAME_BYTES_MAX) throw new GatewayError('FRAME_INVALID', { size });
    return size;
  }

  #join(): Buffer {
    const [only] = this.#chunks;
    if (only !== undefined && this.#chunks.length === 1) return only;
    return Buffer.concat(this.#chunks, this.#length);
  }
}

function decode(bytes: Buffer): Frame {
  const kind = FRAME_KINDS[bytes.readUInt8(4)];
  const channel = CHANNELS[bytes.readUInt8(5)];
  const headerEnd = PREFIX_BYTES + bytes.readUInt32BE(10);
  if (kind === undefined || channel === undefined || headerEnd > bytes.length) {
    throw new GatewayError('FRAME_INVALID', { kind: bytes.readUInt8(4), channel: bytes.readUInt8(5) });
  }
  const header = parseHeader(bytes.toString('utf8', PREFIX_BYTES, headerEnd));
  const body = bytes.subarray(headerEnd);
  return { kind, channel, callId: bytes.readUInt32BE(6), header, ...(body.length > 0 && { body }) };
}

function parseHeader(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new GatewayError('FRAME_INVALID', {}, { cause });
  }
}
