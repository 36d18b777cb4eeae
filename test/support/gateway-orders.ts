/** Orders through a gateway under test, and what the simulator's ledger says about them. */
import { randomUUID } from 'node:crypto';
import type { GatewayProcess } from './gateway-process.js';

export interface Sent {
  readonly status: number;
  readonly headers: Headers;
  /** Byte for byte. */
  readonly text: string;
  readonly json: Record<string, unknown>;
}

export interface Arrival {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

export type Caller = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Sent>;

/** With a token over everything. A string is sent as it is, anything else as JSON. */
export async function callerOf(gateway: GatewayProcess): Promise<Caller> {
  const authorization = `Bearer ${await gateway.token()}`;
  return async (method, path, body, headers = {}) => {
    const init = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
    const response = await fetch(`${gateway.url}/api/v1${path}`, {
      method,
      ...init,
      headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: parsed(text) };
  };
}

export const aKey = (): Record<string, string> => ({ 'idempotency-key': randomUUID() });

/** Every POST, PATCH and DELETE that reached the broker since the cursor. */
export async function writesSince(gateway: GatewayProcess, since: number): Promise<readonly Arrival[]> {
  const { entries } = await gateway.simulator.control.ledger({ since });
  return entries.filter(({ method }) => method !== 'GET');
}

export async function ledgerEnd(gateway: GatewayProcess): Promise<number> {
  return (await gateway.simulator.control.ledger({ limit: 0 })).lastSeq;
}

/** What the broker itself answers, past the gateway. */
export async function askBroker(gateway: GatewayProcess, account: number, path: string): Promise<string> {
  const keys = gateway.simulator.accounts[account];
  const response = await fetch(`${gateway.simulator.endpoints.trading}${path}`, {
    headers: { 'APCA-API-KEY-ID': keys?.apiKey ?? '', 'APCA-API-SECRET-KEY': keys?.secretKey ?? '' },
  });
  return response.text();
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
