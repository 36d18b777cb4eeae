/**
 * Which client connections stay when there is no place for one more. A connection on which no verified request has come
 * is anonymous: at most half of all places for those of one address, and they give way first, the oldest of the
 * address that holds most. Then idle connections of the subject that holds most. A connection with a verified request under way never
 * gives way. Nothing is counted on a request's way but its begin and end; a place is looked for only when none is free.
 */
import type { Socket } from 'node:net';

interface Connection {
  readonly socket: Socket;
  readonly address: string;
  /** Of the last verified request. */
  subject: string | undefined;
  underWay: number;
}

const CONNECTION: unique symbol = Symbol('connection');

interface Carrier {
  [CONNECTION]?: Connection;
}

export class ConnectionPlaces {
  /** By the peer's address and port, which both the plain and the TLS socket of a connection know; oldest first. */
  readonly #connections = new Map<string, Connection>();
  readonly #anonymous = new Map<string, number>();

  constructor(
    private readonly max: number,
    /** A proxy that the operator named: many callers are behind it, so its address is not one caller's. */
    private readonly isProxy: (address: string) => boolean,
    private readonly onEvicted: () => void,
  ) {}

  /** The listener's `connection` event: the plain socket, before TLS. */
  opened(socket: Socket): void {
    const key = keyOf(socket);
    const address = socket.remoteAddress ?? '';
    const connection: Connection = { socket, address, subject: undefined, underWay: 0 };
    this.#connections.set(key, connection);
    this.#count(address, 1);
    socket.once('close', () => this.#closed(key, connection));
    const isCrowded = (this.#anonymous.get(address) ?? 0) > Math.ceil(this.max / 2) && !this.isProxy(address);
    if (this.#connections.size <= this.max && !isCrowded) return;
    const yielding = isCrowded ? this.#oldestAnonymousOf(address) : this.#yielding();
    this.onEvicted();
    (yielding ?? connection).socket.destroy();
  }

  /** A verified request of the subject begins on this connection; call what is returned when it has ended. */
  verified(socket: Socket, subject: string): () => void {
    const carrier = socket as Carrier;
    const connection = carrier[CONNECTION] ?? this.#connections.get(keyOf(socket));
    if (connection === undefined) return () => undefined;
    carrier[CONNECTION] = connection;
    if (connection.subject === undefined) this.#count(connection.address, -1);
    connection.subject = subject;
    connection.underWay += 1;
    return () => (connection.underWay -= 1);
  }

  #closed(key: string, connection: Connection): void {
    if (this.#connections.get(key) === connection) this.#connections.delete(key);
    if (connection.subject === undefined) this.#count(connection.address, -1);
  }

  #count(address: string, by: 1 | -1): void {
    const count = (this.#anonymous.get(address) ?? 0) + by;
    if (count > 0) this.#anonymous.set(address, count);
    else this.#anonymous.delete(address);
  }

  #yielding(): Connection | undefined {
    const [address] = [...this.#anonymous].reduce<[string, number]>((a, b) => (b[1] > a[1] ? b : a), ['', 0]);
    return this.#oldestAnonymousOf(address) ?? this.#oldestIdle();
  }

  #oldestAnonymousOf(address: string): Connection | undefined {
    for (const connection of this.#connections.values())
      if (connection.subject === undefined && connection.address === address) return connection;
    return undefined;
  }

  #oldestIdle(): Connection | undefined {
    const idle = [...this.#connections.values()].filter(
      ({ underWay, subject }) => subject !== undefined && underWay === 0,
    );
    const held = new Map<string, number>();
    for (const { subject = '' } of idle) held.set(subject, (held.get(subject) ?? 0) + 1);
    const most = Math.max(0, ...held.values());
    return idle.find(({ subject = '' }) => held.get(subject) === most);
  }
}

function keyOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
