/** How the data host answers: JSON with numbers, errors with and without a code, and its HTML page for a bad key. */
import type { ServerResponse } from 'node:http';

/** Thrown anywhere in a route; the frame of the routes turns it into the answer. */
export class DataRefusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code?: number,
  ) {
    super(message);
  }
}

export function badRequest(message: string): DataRefusal {
  return new DataRefusal(400, message);
}

/** Entitlement: HTTP 403 with a body code that begins with 422. */
export function notEntitled(what: string): DataRefusal {
  return new DataRefusal(403, `subscription does not permit querying ${what} data`, 42_210_000);
}

export function sendJson(res: ServerResponse, status: number, body: string | Buffer): void {
  res.writeHead(status, {
    'Content-Type': 'application/json; charset=UTF-8',
    'Content-Length': String(Buffer.byteLength(body)),
  });
  res.end(body);
}

export function sendRefusal(res: ServerResponse, { status, message, code }: DataRefusal): void {
  sendJson(res, status, JSON.stringify(code === undefined ? { message } : { code, message }));
}

const PAGE = [
  '<html>',
  '<head><title>401 Authorization Required</title></head>',
  '<body>',
  '<center><h1>401 Authorization Required</h1></center>',
  '<hr><center>nginx</center>',
  '</body>',
  '</html>',
  '',
].join('\r\n');

/** What the host says to a wrong key: an nginx page, or 403 JSON where the operator of the test prefers that. */
export function sendUnauthorized(res: ServerResponse, style: 'html-401' | 'json-403'): void {
  if (style === 'json-403') {
    sendJson(res, 403, JSON.stringify({ message: 'forbidden.' }));
    return;
  }
  res.writeHead(401, { 'Content-Type': 'text/html', 'Content-Length': String(PAGE.length), Server: 'nginx' });
  res.end(PAGE);
}
