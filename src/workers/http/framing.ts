/**
 * What Node's parser lets through and this edge does not (docs/security.md#framing): anything that a proxy in front
 * could read differently from us. Cheap enough for every request; a refusal closes the connection.
 */
import type { IncomingMessage } from 'node:http';
import type { Problem } from '../../kernel/domain/problem.js';

export const HEADERS_MAX = 64;
export const HEADER_BYTES_MAX = 8 * 1024;
/** Below the header limit, so that a long address is told apart from large headers. */
export const TARGET_CHARS_MAX = 6 * 1024;

/** Headers that must not stand twice: a proxy may take the last where we take the first. */
const SINGLE = new Set([
  'host',
  'authorization',
  'idempotency-key',
  'content-type',
  'content-length',
  'transfer-encoding',
  'traceparent',
  'x-request-id',
  'x-forwarded-proto',
]);
const SINGLE_LENGTHS = new Set([...SINGLE].map((name) => name.length));

/** A refusal, or undefined when the head of the request means the same to everybody. */
export function framingProblem(req: IncomingMessage): Problem | undefined {
  if (req.rawHeaders.length > HEADERS_MAX * 2) {
    return { code: 'headers-too-large', detail: `More than ${HEADERS_MAX} headers.` };
  }
  if ((req.url ?? '').length > TARGET_CHARS_MAX) {
    return { code: 'uri-too-long', detail: `The address is longer than ${TARGET_CHARS_MAX} characters.` };
  }
  return headerProblem(req.rawHeaders) ?? targetProblem(req) ?? versionProblem(req);
}

function headerProblem(raw: readonly string[]): Problem | undefined {
  let seen: Set<string> | undefined;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? '';
    if (name.includes('_')) return malformed('A header name with an underscore is not accepted.');
    if (!SINGLE_LENGTHS.has(name.length)) continue;
    const lower = name.toLowerCase();
    if (!SINGLE.has(lower)) continue;
    seen ??= new Set();
    if (seen.has(lower)) return doubled(lower);
    seen.add(lower);
  }
  return undefined;
}

function doubled(name: string): Problem {
  const detail = 'The header is given more than once.';
  const code = name === 'idempotency-key' ? 'idempotency-key-malformed' : 'request-malformed';
  return { code, detail, errors: [{ field: name, in: 'header', detail }] };
}

/** RFC 9112 3.2.2: an absolute target names the host itself. A foreign one is refused; ours is cut to its path. */
function targetProblem(req: IncomingMessage): Problem | undefined {
  const target = req.url ?? '';
  if (target.startsWith('/')) return undefined;
  const match = /^https?:\/\/([^/?#]*)(\/.*)?$/i.exec(target);
  if (match === null)
    return req.method === 'OPTIONS' && target === '*' ? undefined : malformed('The target is not a path.');
  if (match[1]?.toLowerCase() !== req.headers.host?.toLowerCase()) {
    return malformed('The target names another host than the Host header.');
  }
  req.url = match[2] ?? '/';
  return undefined;
}

function versionProblem(req: IncomingMessage): Problem | undefined {
  if (req.httpVersion === '1.1') {
    return req.headers.host === undefined ? malformed('HTTP/1.1 asks for a Host header.') : undefined;
  }
  if (req.httpVersion !== '1.0') return malformed('Only HTTP/1.1 and HTTP/1.0 are spoken here.');
  if (req.headers['transfer-encoding'] === undefined) return undefined;
  return malformed('HTTP/1.0 knows no Transfer-Encoding.');
}

function malformed(detail: string): Problem {
  return { code: 'request-malformed', detail };
}
