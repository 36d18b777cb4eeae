/**
 * One key pair's way to one host of the broker, through the official SDK: its configuration, authentication and URL
 * assembly, without its models, retries and timeouts. Bytes go in and come out untouched.
 */
import { trading } from '@alpacahq/alpaca-trade-api';
import { silentTracer, traced, type Tracer } from '../../kernel/runtime/tracer.js';
import type { BrokerPool, Exchange, ExchangeResult } from './broker-pool.js';

export interface KeyPair {
  readonly keyId: string;
  readonly secretKey: string;
}

export type WireCall = Omit<Exchange, 'headers'> & { readonly headers?: Readonly<Record<string, string>> };

export class BrokerWire {
  readonly #api: PassThroughApi;

  /** @throws TypeError when a half of the key pair is empty: the SDK would fall back to the process's environment. */
  constructor(
    pool: BrokerPool,
    origin: string,
    keys: KeyPair,
    private readonly tracer: Tracer = silentTracer,
  ) {
    if (keys.keyId === '' || keys.secretKey === '') throw new TypeError('a key pair has two halves');
    this.#api = new PassThroughApi(
      new trading.Configuration({
        keyId: keys.keyId,
        secret: keys.secretKey,
        basePath: origin.replace(/\/+$/, ''),
        timeoutMs: 0,
        fetchApi: (_url, init) => exchangeOf(pool, init as InitWithSide),
      }),
    );
  }

  /** One attempt. Never rejects. */
  send(call: WireCall): Promise<ExchangeResult> {
    const { method, path, headers } = call;
    return traced(this.tracer, ['client', `broker ${method}`, headers?.['traceparent']], async (span) => {
      if (span === undefined) return this.#api.run(call);
      const result = await this.#api.run({ ...call, headers: { ...headers, traceparent: span.traceparent } });
      // Without its query: that may name symbols and order ids without end.
      span.set({ 'http.request.method': method, 'url.path': path.split('?')[0], 'opitios.outcome': result.kind });
      if (result.kind === 'answered') span.set({ 'http.response.status_code': result.status });
      return result;
    });
  }
}

/** What travels beside the SDK's own parameters: it spreads unknown members of `init` through to `fetchApi`. */
interface Side {
  readonly call: WireCall;
  result: ExchangeResult | undefined;
}

type InitWithSide = RequestInit & { readonly side: Side };

class PassThroughApi extends trading.BaseAPI {
  async run(call: WireCall): Promise<ExchangeResult> {
    const side: Side = { call, result: undefined };
    const key = this.configuration.apiKey;
    const headers: trading.HTTPHeaders = {
      'APCA-API-KEY-ID': (await key?.('APCA-API-KEY-ID')) ?? '',
      'APCA-API-SECRET-KEY': (await key?.('APCA-API-SECRET-KEY')) ?? '',
      ...call.headers,
    };
    if (call.body !== undefined) headers['content-type'] = 'application/json';
    await this.request({ method: call.method, path: call.path, headers }, { side } as unknown as RequestInit);
    return side.result ?? { kind: 'not-sent', reason: 'closed', detail: 'the request was not handed over' };
  }
}

/**
 * The SDK is shown a success whatever the broker said: on anything else it would read and parse the body into an error
 * of its own, while the gateway passes the broker's words on.
 */
async function exchangeOf(pool: BrokerPool, { side, headers }: InitWithSide): Promise<Response> {
  side.result = await pool.exchange({ ...side.call, headers: headers as Record<string, string> });
  return SHOWN_TO_SDK as unknown as Response;
}

const SHOWN_TO_SDK = { status: 200, ok: true, json: () => Promise.resolve(undefined), text: () => Promise.resolve('') };
