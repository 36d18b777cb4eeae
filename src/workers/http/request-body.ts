/** Reads a request's body as bytes, within a limit, and turns it into a value. Nothing half-read goes further. */
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../../kernel/domain/errors.js';
import type { Problem } from '../../kernel/domain/problem.js';
import { parseJsonText } from './json-text.js';

export type BodyResult =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'empty' }
  | { readonly kind: 'problem'; readonly problem: Problem }
  /** The client went away in the middle. */
  | { readonly kind: 'aborted' };

const JSON_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;
// A byte order mark is kept, so that the parser refuses it.
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function announcesBody(req: IncomingMessage): boolean {
  const length = req.headers['content-length'];
  return req.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

export interface BodyLimits {
  readonly bytesMax: number;
  /** Values in the JSON text; json-text.ts has the default. */
  readonly valuesMax?: number;
}

/** @param keep is given the bytes as they came, for a request that another instance answers. */
export async function readJsonBody(
  req: IncomingMessage,
  { bytesMax, valuesMax }: BodyLimits,
  keep?: (bytes: Uint8Array) => void,
): Promise<BodyResult> {
  if (!announcesBody(req)) return { kind: 'empty' };
  const refusal =
    mediaProblem(req) ?? (Number(req.headers['content-length'] ?? 0) > bytesMax ? tooLarge(bytesMax) : undefined);
  if (refusal !== undefined) return { kind: 'problem', problem: refusal };
  const bytes = await collect(req, bytesMax);
  if (bytes === 'too-large') return { kind: 'problem', problem: tooLarge(bytesMax) };
  if (bytes === 'aborted') return { kind: 'aborted' };
  keep?.(bytes);
  return bytes.length === 0 ? { kind: 'empty' } : decode(bytes, valuesMax);
}

/** Of a route that takes no body: reads up to the first byte of one, and no further. */
export async function readNoBody(req: IncomingMessage): Promise<'empty' | 'body' | 'aborted'> {
  if (!announcesBody(req)) return 'empty';
  if (req.headers['transfer-encoding'] === undefined) return 'body';
  const bytes = await collect(req, 0);
  if (bytes === 'aborted') return 'aborted';
  return bytes === 'too-large' ? 'body' : 'empty';
}

function mediaProblem(req: IncomingMessage): Problem | undefined {
  const encoding = req.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return unsupported('content-encoding', 'A compressed body is not accepted.');
  }
  if (JSON_TYPE.test(req.headers['content-type'] ?? '')) return undefined;
  return unsupported('content-type', 'Send the body as application/json in UTF-8.');
}

function unsupported(field: string, detail: string): Problem {
  return { code: 'unsupported-media-type', detail, errors: [{ field, in: 'header', detail }] };
}

function tooLarge(bytesMax: number): Problem {
  return { code: 'payload-too-large', detail: `The body is larger than ${bytesMax} bytes.` };
}

function collect(req: IncomingMessage, bytesMax: number): Promise<Buffer | 'too-large' | 'aborted'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > bytesMax) {
        chunks.length = 0;
        req.pause();
        resolve('too-large');
        return;
      }
      chunks.push(chunk);
    });
    req.on('end', () => resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)));
    req.on('close', () => resolve('aborted'));
    req.on('error', () => resolve('aborted'));
  });
}

function decode(bytes: Buffer, valuesMax: number | undefined): BodyResult {
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch {
    return { kind: 'problem', problem: { code: 'request-malformed', detail: 'The body is not UTF-8.' } };
  }
  try {
    return { kind: 'value', value: parseJsonText(text, valuesMax) };
  } catch (cause) {
    if (!(cause instanceof GatewayError)) throw cause;
    const detail = String(cause.facts['detail']);
    const field = String(cause.facts['field']);
    return {
      kind: 'problem',
      problem: {
        code: 'request-malformed',
        detail,
        errors: [{ field: field === '' ? 'body' : field, in: 'body', detail }],
      },
    };
  }
}
