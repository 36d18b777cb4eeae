/**
 * One record as it lies on disk: CRC-32, then half a SHA-256 over key and payload, then the payload as JSON. The CRC
 * finds decay; the hash also finds a record that stands under another's key.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { GatewayError } from '../domain/errors.js';

const CRC_BYTES = 4;
const HASH_BYTES = 16;
const HEADER_BYTES = CRC_BYTES + HASH_BYTES;

export function encodeRecord(key: string, payload: unknown): Uint8Array {
  const json = Buffer.from(JSON.stringify(payload), 'utf8');
  const record = Buffer.allocUnsafe(HEADER_BYTES + json.length);
  hashOf(key, json).copy(record, CRC_BYTES);
  json.copy(record, HEADER_BYTES);
  record.writeUInt32BE(crc32(record.subarray(CRC_BYTES)), 0);
  return record;
}

/**
 * The caller names the type that it wrote under this key: what passes the hash is what was written.
 * @throws GatewayError JOURNAL_BROKEN naming the key
 */
export function decodeRecord(key: string, bytes: Uint8Array): unknown {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = record.length > HEADER_BYTES && record.readUInt32BE(0) === crc32(record.subarray(CRC_BYTES));
  const json = record.subarray(HEADER_BYTES);
  if (!whole || !hashOf(key, json).equals(record.subarray(CRC_BYTES, HEADER_BYTES))) {
    throw new GatewayError('JOURNAL_BROKEN', { key }, { message: 'a journal record does not match its checksum' });
  }
  return JSON.parse(json.toString('utf8'));
}

function hashOf(key: string, json: Uint8Array): Buffer {
  return createHash('sha256').update(key).update('\0').update(json).digest().subarray(0, HASH_BYTES);
}
