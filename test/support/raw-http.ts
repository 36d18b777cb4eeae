/** Sends bytes over a bare socket and collects what comes back until the other side ends or falls silent with an answer. */
import { connect } from 'node:net';

export function rawExchange(port: number, bytes: string | Buffer, deadlineMs = 3_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    const timer = setTimeout(() => {
      socket.destroy();
      resolve(received);
    }, deadlineMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve(received);
    };
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
    socket.on('close', done);
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ECONNREFUSED') reject(cause);
    });
    socket.write(bytes);
  });
}

export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
}
