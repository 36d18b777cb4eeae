/**
 * The control methods over HTTP, on a port of their own: `POST /<method>` with a JSON array of arguments answers
 * `{"result": …}`; `GET /` lists the methods, `GET /<method>` calls one without arguments. No authentication: it binds
 * to the loopback interface and belongs to tests and demos only.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Control } from './control.js';

const METHODS = [
  'accounts',
  'addAccount',
  'removeAccount',
  'blockAccount',
  'breakKey',
  'issueKeys',
  'revokeKeys',
  'setPosition',
  'setCash',
  'orders',
  'orderCounts',
  'order',
  'executions',
  'ledger',
  'clearLedger',
  'setLedgerMode',
  'counters',
  'resetCounters',
  'switchOn',
  'switchOff',
  'switches',
  'dropStreams',
  'failTradeStreams',
  'injectTradeUpdate',
  'cutConnections',
  'setMarketFaults',
  'behave',
  'setRateLimit',
  'fill',
  'reject',
  'expire',
  'cancel',
  'tell',
  'auction',
  'setPrice',
  'advance',
  'now',
] as const satisfies readonly (keyof Control)[];

export class ControlDoor {
  readonly #control: Control;
  readonly #server: Server;

  constructor(control: Control) {
    this.#control = control;
    this.#server = createServer((req, res) => this.#collect(req, res));
  }

  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', () => resolve());
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #collect(req: IncomingMessage, res: ServerResponse): void {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => this.#answer(req.url ?? '/', Buffer.concat(chunks).toString('utf8'), res));
  }

  #answer(path: string, body: string, res: ServerResponse): void {
    const name = path.slice(1);
    if (name === '') {
      send(res, 200, { methods: METHODS });
      return;
    }
    const method = METHODS.find((known) => known === name);
    if (method === undefined) {
      send(res, 404, { error: `no method ${name}` });
      return;
    }
    try {
      const args: unknown = body === '' ? [] : JSON.parse(body);
      if (!Array.isArray(args)) throw new TypeError('the body must be a JSON array of arguments');
      // JSON has no undefined: an argument left out in the middle arrives as null.
      const given = args.map((arg: unknown) => arg ?? undefined);
      const control = this.#control as unknown as Record<string, (...args: readonly unknown[]) => unknown>;
      send(res, 200, { result: control[method]?.(...given) ?? null });
    } catch (cause) {
      send(res, 400, { error: cause instanceof Error ? cause.message : 'failed' });
    }
  }
}

function send(res: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  res.end(body);
}
