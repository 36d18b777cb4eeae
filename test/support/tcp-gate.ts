/** A port in front of another that can fall silent, as a network that is cut does, or lead elsewhere, as after a failover. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TcpGate {
  readonly port: number;
  /** Nothing passes and nothing is closed. */
  cut(): void;
  /** What was held is closed; new connections pass. */
  heal(): void;
  /** Connections from now on lead there; those that are open end. */
  leadTo(port: number): void;
  close(): Promise<void>;
}

export async function openGate(target: number): Promise<TcpGate> {
  let leadsTo = target;
  let isCut = false;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer((from) => {
    keep(from);
    if (isCut) return;
    const to = connect(leadsTo, '127.0.0.1');
    keep(to);
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      one.on('data', (bytes) => isCut || other.write(bytes));
      one.on('close', () => isCut || other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => void (isCut = true),
    heal: () => {
      isCut = false;
      endAll();
    },
    leadTo: (port) => {
      leadsTo = port;
      endAll();
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      endAll();
      await closed;
    },
  };
}
