/**
 * RFC 9110 7.8: a server may ignore Upgrade and answer in the protocol that was spoken. Node takes every request with that
 * header off its parser once anybody listens for upgrades; here such a connection is given back, without the header.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { carriedBy } from './exchange.js';

/** The one protocol that this gateway changes to. */
export function asksForWebSocket(req: IncomingMessage): boolean {
  return (req.headers.upgrade ?? '').split(',').some((name) => name.trim().toLowerCase() === 'websocket');
}

/** Lets `server` read the request again from its first byte, as one that asks for no upgrade. `head` is what came behind it. */
export function ignoreUpgrade(server: Server, req: IncomingMessage, socket: Duplex, head: Buffer): void {
  const earlier = carriedBy(socket);
  const resume = (): void => {
    if (socket.destroyed) return;
    socket.off('error', drop);
    // Of the request before this one: its idle time must not cut this one off.
    if ('setTimeout' in socket) (socket as TLSSocket).setTimeout(0);
    socket.unshift(Buffer.concat([headWithoutUpgrade(req), head]));
    server.emit(socket instanceof TLSSocket ? 'secureConnection' : 'connection', socket);
  };
  const drop = (): void => void socket.destroy();
  socket.on('error', drop);
  // Pipelined behind a request that still waits: its answer goes first.
  if (earlier === undefined || earlier.settled) resume();
  else earlier.res.once('close', resume);
}

/** As the parser read it, so nothing in it can be read in two ways; latin1 keeps every byte. */
function headWithoutUpgrade(req: IncomingMessage): Buffer {
  const lines = [`${req.method ?? ''} ${req.url ?? ''} HTTP/${req.httpVersion}`];
  for (let index = 0; index < req.rawHeaders.length; index += 2) {
    const name = req.rawHeaders[index] ?? '';
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${req.rawHeaders[index + 1] ?? ''}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}
