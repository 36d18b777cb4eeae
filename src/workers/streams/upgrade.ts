/** What is looked at before a socket exists: the handshake's origin, address and token. Refusals are plain HTTP. */
import type { IncomingMessage } from 'node:http';
import { PROBLEMS, type ProblemCode } from '../../kernel/domain/problem.js';

/** Browsers cannot set headers on a WebSocket: they offer `bearer.<jwt>` as a subprotocol, which is echoed. */
export const BEARER_PROTOCOL = 'bearer.';

export type UpgradeRefusal = Extract<
  ProblemCode,
  'draining' | 'unauthenticated' | 'rate-limited' | 'request-malformed' | 'origin-not-allowed'
>;

export function upgradeRefusal(req: IncomingMessage, allowedOrigins: readonly string[]): UpgradeRefusal | undefined {
  // A token in the address would stand in every log on the way (ASVS 14.2.1): no query at all is taken.
  if (req.url?.includes('?') === true) return 'request-malformed';
  const { origin } = req.headers;
  if (origin === undefined || allowedOrigins.includes(origin) || isSameOrigin(origin, req.headers.host))
    return undefined;
  return 'origin-not-allowed';
}

/** Only browsers send an Origin; a page of ours (the documentation) comes from the address it connects to. */
function isSameOrigin(origin: string, host: string | undefined): boolean {
  try {
    return host !== undefined && new URL(origin).host === host.toLowerCase();
  } catch {
    return false;
  }
}

/** The token of the handshake; undefined when it is to come with the first message. */
export function tokenOf(req: IncomingMessage): string | undefined {
  const { authorization } = req.headers;
  if (authorization !== undefined) return /^Bearer (\S+)$/i.exec(authorization)?.[1] ?? '';
  const offered = (req.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  return offered.find((name) => name.startsWith(BEARER_PROTOCOL))?.slice(BEARER_PROTOCOL.length);
}

export function refusalText(code: UpgradeRefusal): { readonly status: number; readonly text: string } {
  const { status, title } = PROBLEMS[code];
  const body = JSON.stringify({ type: 'about:blank', title, status, code });
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...(status === 401 ? ['WWW-Authenticate: Bearer'] : []),
    ...(status === 429 || status === 503 ? ['Retry-After: 1'] : []),
  ];
  return { status, text: `${head.join('\r\n')}\r\n\r\n${body}` };
}
