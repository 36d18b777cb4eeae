/** A broker for one rehearsal: one account, one order that is filled at once, on loopback in the worker itself. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Clock } from '../../kernel/runtime/clock.js';

const ACCOUNT = { id: 'stage', account_number: 'stage', status: 'ACTIVE', cash: '1000', buying_power: '1000' };
const ACKNOWLEDGED: Readonly<Record<string, object>> = {
  auth: { stream: 'authorization', data: { status: 'authorized', action: 'authenticate' } },
  authenticate: { stream: 'authorization', data: { status: 'authorized', action: 'authenticate' } },
  listen: { stream: 'listening', data: { streams: ['trade_updates'] } },
};

export class StageBroker {
  readonly #server = createServer((req, res) => this.#answer(req, res));
  readonly #streams = new WebSocketServer({ server: this.#server, maxPayload: 1 << 16 });

  /** @param secret whoever does not show it is no actor of this stage */
  constructor(
    private readonly clock: Clock,
    private readonly secret: string,
  ) {}

  /** @returns its port */
  async open(): Promise<number> {
    // The server's own errors come here too; `listen` rejects with them.
    this.#streams.on('error', () => undefined);
    this.#streams.on('connection', (socket) => {
      socket.on('error', () => socket.terminate());
      socket.on('message', (data: Buffer) => this.#hear(socket, data.toString()));
    });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#streams.clients) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #hear(socket: WebSocket, text: string): void {
    const action = /"action":"(\w+)"/.exec(text)?.[1] ?? '';
    const answer = ACKNOWLEDGED[action];
    if (answer === undefined || (action !== 'listen' && !text.includes(this.secret))) socket.terminate();
    else say(socket, answer);
  }

  #answer(req: IncomingMessage, res: ServerResponse): void {
    const chunks: Buffer[] = [];
    req.on('error', () => res.destroy());
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      if (req.headers['apca-api-secret-key'] !== this.secret) {
        res.destroy();
        return;
      }
      const asked = new URL(req.url ?? '/', 'http://stage');
      const body = req.method === 'POST' ? this.#fill(Buffer.concat(chunks)) : read(asked.pathname);
      res.writeHead(200, { 'content-type': 'application/json' });
      res.end(JSON.stringify(body));
    });
  }

  #fill(bytes: Buffer): object {
    const asked = JSON.parse(bytes.toString()) as Record<string, unknown>;
    const at = new Date(this.clock.now()).toISOString();
    const order = { ...asked, id: 'stage-1', status: 'new', filled_qty: '0', submitted_at: at, updated_at: at };
    const filled = { ...order, status: 'filled', filled_qty: asked['qty'], filled_avg_price: '1' };
    const fill = {
      event: 'fill',
      execution_id: 'stage-2',
      price: '1',
      qty: asked['qty'],
      timestamp: at,
      order: filled,
    };
    for (const socket of this.#streams.clients)
      for (const data of [{ event: 'new', timestamp: at, order }, fill]) say(socket, { stream: 'trade_updates', data });
    return order;
  }
}

function read(path: string): unknown {
  return path.endsWith('/account') || path.endsWith('/clock') ? ACCOUNT : [];
}

function say(socket: WebSocket, value: object): void {
  socket.send(JSON.stringify(value));
}
