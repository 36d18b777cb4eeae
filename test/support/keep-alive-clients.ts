/** Clients that each keep one connection open, on whichever worker accepted it. */
import { Pool } from 'undici';
import type { GatewayProcess } from './gateway-process.js';

export interface Answered {
  readonly status: number;
  readonly text: string;
}

export type KeepAliveClient = (path: string) => Promise<Answered>;

export class KeepAliveClients {
  readonly #open: Pool[] = [];

  /** With a token over everything; paths are under `/api/v1`. */
  async of(gateway: GatewayProcess, count: number): Promise<readonly KeepAliveClient[]> {
    const headers = { authorization: `Bearer ${await gateway.token()}` };
    return Array.from({ length: count }, () => {
      const client = new Pool(gateway.url, { connections: 1, pipelining: 1 });
      this.#open.push(client);
      return async (path) => {
        const { statusCode, body } = await client.request({ path: `/api/v1${path}`, method: 'GET', headers });
        return { status: statusCode, text: await body.text() };
      };
    });
  }

  async close(): Promise<void> {
    for (const client of this.#open.splice(0)) await client.destroy();
  }
}
