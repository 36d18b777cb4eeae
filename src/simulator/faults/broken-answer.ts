/**
 * Answers that never arrive whole. The venue has decided what it wants to say; this writes the broken version straight
 * to the socket and ends the connection, because after half an answer it can carry no other.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { LostAnswer } from './fault.js';

const HTML = (title: string): string =>
  `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n</body>\r\n</html>\r\n`;

const EDGE: Readonly<Record<string, string>> = {
  '502': '502 Bad Gateway',
  '503': '503 Service Unavailable',
  '504': '504 Gateway Time-out',
};

/** `status` and `body` are what would have been sent. */
export function loseAnswer(req: IncomingMessage, how: LostAnswer, status: number, body: string): void {
  const { socket } = req;
  switch (how) {
    case 'hang':
      return;
    case 'reset':
      socket.resetAndDestroy();
      return;
    case 'fin':
      socket.destroy();
      return;
    case 'partial-headers':
      endWith(socket, `HTTP/1.1 ${status} OK\r\nContent-Type: application/json; char`);
      return;
    case 'partial-body': {
      const bytes = Buffer.from(body);
      socket.write(head(`${status} OK`, 'application/json; charset=UTF-8', bytes.length));
      endWith(socket, bytes.subarray(0, Math.floor(bytes.length / 2)));
      return;
    }
    case 'garbage':
      endWith(socket, Buffer.from([0x00, 0xff, 0x13, 0x37, 0x7f, 0x0d, 0x0a, 0xfe]));
      return;
    case 'not-json':
      whole(socket, '200 OK', HTML('Welcome'));
      return;
    default:
      whole(socket, EDGE[how] ?? '500 Internal Server Error', HTML(EDGE[how] ?? 'error'));
  }
}

/** Sends the right answer, `bytesPerSecond` at a time, until it is done or the peer has had enough. */
export function trickle(res: ServerResponse, body: string, bytesPerSecond: number): void {
  const bytes = Buffer.from(body);
  const step = bytesPerSecond >= 1 ? Math.floor(bytesPerSecond) : 1;
  const pauseMs = bytesPerSecond >= 1 ? 1000 : 1000 / bytesPerSecond;
  let sent = 0;
  res.setHeader('Content-Length', bytes.length);
  res.flushHeaders();
  const timer = setInterval(() => {
    res.write(bytes.subarray(sent, sent + step));
    sent += step;
    if (sent >= bytes.length) res.end();
  }, pauseMs);
  res.on('close', () => clearInterval(timer));
}

function whole(socket: Socket, status: string, body: string): void {
  socket.write(head(status, 'text/html', Buffer.byteLength(body)));
  endWith(socket, body);
}

function head(status: string, contentType: string, length: number): string {
  return `HTTP/1.1 ${status}\r\nContent-Type: ${contentType}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`;
}

function endWith(socket: Socket, bytes: string | Buffer): void {
  socket.end(bytes, () => socket.destroy());
}
