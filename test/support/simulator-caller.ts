/** Speaks to a simulator as one of its accounts, over REST and over the trade stream. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { AccountKeys } from '../../src/simulator/accounts.js';

export interface Answered {
  readonly status: number;
  readonly body: any;
  readonly headers: Headers;
}

export class Caller {
  constructor(
    private readonly url: string,
    private readonly keys: Pick<AccountKeys, 'apiKey' | 'secretKey'>,
  ) {}

  async call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Answered> {
    const response = await fetch(this.url + path, {
      method,
      headers: { 'APCA-API-KEY-ID': this.keys.apiKey, 'APCA-API-SECRET-KEY': this.keys.secretKey },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text), headers: response.headers };
  }

  get(path: string): Promise<Answered> {
    return this.call('GET', path);
  }

  post(path: string, body: unknown): Promise<Answered> {
    return this.call('POST', path, body);
  }
}

/** A trade stream without the SDK: keeps every message it was sent. */
export class StreamProbe {
  readonly messages: any[] = [];
  readonly binary: boolean[] = [];

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      this.binary.push(isBinary);
      this.messages.push(JSON.parse(data.toString()));
    });
    socket.on('error', () => undefined);
  }

  /** Open, but neither authenticated nor listening. */
  static async open(url: string): Promise<StreamProbe> {
    const socket = new WebSocket(url);
    const probe = new StreamProbe(socket);
    await once(socket, 'open');
    return probe;
  }

  static async listen(url: string, keys: Pick<AccountKeys, 'apiKey' | 'secretKey'>): Promise<StreamProbe> {
    const probe = await StreamProbe.open(url);
    probe.send({ action: 'authenticate', data: { key_id: keys.apiKey, secret_key: keys.secretKey } });
    probe.send({ action: 'listen', data: { streams: ['trade_updates'] } });
    await probe.until(() => probe.messages.some((message) => message.stream === 'listening'));
    return probe;
  }

  send(message: unknown): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Names of the trade events so far, in order of arrival. */
  events(): string[] {
    return this.updates().map((data) => data.event);
  }

  updates(): any[] {
    return this.messages.filter((message) => message.stream === 'trade_updates').map((message) => message.data);
  }

  /** Waits for a condition, checked after every message. Rejects after the deadline. */
  async until(isMet: () => boolean, deadlineMs = 5_000): Promise<void> {
    const signal = AbortSignal.timeout(deadlineMs);
    while (!isMet()) await once(this.socket, 'message', { signal });
  }
}
