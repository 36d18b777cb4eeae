/**
 * The clients' socket, bound once by the primary and accepted on by workers only (docs/decisions/0005). It outlives every
 * worker: while none accepts, connections wait in the kernel's backlog instead of being refused.
 */
import type { SendHandle } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import net from 'node:net';
import { getSystemErrorName } from 'node:util';
import { GatewayError } from '../kernel/domain/errors.js';

/** libuv's TCP handle, bound and never listened on in this process: so it never accepts here. */
interface TcpHandle {
  getsockname(into: { port?: number }): number;
  close(): void;
}

/** What node:cluster itself binds shared sockets with; there is no public way to bind without accepting. */
const binder = net as unknown as {
  _createServerHandle(host: string, port: number, family: 4 | 6): TcpHandle | number;
};

export class ListeningSocket {
  #isClosed = false;

  private constructor(
    private readonly tcp: TcpHandle,
    readonly port: number,
  ) {}

  /** @throws GatewayError PORT_IN_USE */
  static async bind(host: string, port: number): Promise<ListeningSocket> {
    const { address, family } = await lookup(host).catch((cause: unknown) => {
      throw refused(host, port, String(cause));
    });
    const tcp = binder._createServerHandle(address, port, family === 6 ? 6 : 4);
    if (typeof tcp === 'number') throw refused(host, port, getSystemErrorName(tcp));
    const bound: { port?: number } = {};
    // libuv keeps EADDRINUSE back until somebody asks.
    const failure = tcp.getsockname(bound);
    if (failure === 0) return new ListeningSocket(tcp, bound.port ?? port);
    tcp.close();
    throw refused(host, port, getSystemErrorName(failure));
  }

  /** For a worker, which listens on its own copy; undefined once closed. */
  get handle(): SendHandle {
    return this.#isClosed ? undefined : (this.tcp as unknown as SendHandle);
  }

  /** Workers that listen go on; with the last of them the port is free. */
  close(): void {
    if (!this.#isClosed) this.tcp.close();
    this.#isClosed = true;
  }
}

function refused(host: string, port: number, why: string): GatewayError {
  const message = `the gateway cannot listen on ${host}:${port}: ${why}`;
  return new GatewayError('PORT_IN_USE', { host, port }, { message });
}
