/**
 * The broker's data side of one key pair, on the wire of workers/alpaca: pools are shared with the account sessions of
 * this worker where the origin is the same. One attempt, one connection; it decides nothing.
 */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { AccountGrant } from '../../kernel/ipc/control.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Tracer } from '../../kernel/runtime/tracer.js';
import type { BrokerPool } from '../alpaca/broker-pool.js';
import { BrokerWire, type KeyPair } from '../alpaca/broker-wire.js';
import { openDataStream } from '../alpaca/data-stream.js';
import type {
  DataStream,
  DataWire,
  StreamEvents,
  UpstreamAccount,
  UpstreamHost,
  WireOptions,
  WireReply,
} from './upstream.js';

export interface AlpacaUpstreamParts {
  /** From the configuration: `alpaca.endpoints`. */
  readonly endpoints: {
    readonly tradingPaper: string;
    readonly tradingLive: string;
    readonly data: string;
    /** Such as wss://stream.data.alpaca.markets, without a feed. */
    readonly streamData: string;
  };
  /** The worker's one pool of an origin. Whoever made it closes it. */
  readonly poolOf: (origin: string) => BrokerPool;
  readonly clock: Clock;
  readonly tracer?: Tracer;
}

const OPEN_TIMEOUT_MS = 8_000;
const PING_INTERVAL_MS = 5_000;

/** The master and its stand-ins as the hub takes them. Keys are plain text here. */
export function upstreamAccounts(
  master: AccountGrant,
  parts: AlpacaUpstreamParts,
): readonly [UpstreamAccount, ...UpstreamAccount[]] {
  const standIns = (master.standIns ?? []).map((grant) => new AlpacaUpstream(grant, parts));
  return [new AlpacaUpstream(master, parts), ...standIns];
}

export class AlpacaUpstream implements UpstreamAccount {
  readonly accountId: AccountId;
  readonly wire: DataWire;
  readonly #keys: KeyPair;
  readonly #wires: Readonly<Record<UpstreamHost, BrokerWire>>;

  constructor(
    grant: Pick<AccountGrant, 'accountId' | 'apiKey' | 'secretKey' | 'paperTrading'>,
    private readonly parts: AlpacaUpstreamParts,
  ) {
    this.accountId = grant.accountId;
    this.#keys = { keyId: grant.apiKey, secretKey: grant.secretKey };
    const { endpoints, poolOf } = parts;
    const trading = grant.paperTrading ? endpoints.tradingPaper : endpoints.tradingLive;
    this.#wires = {
      data: new BrokerWire(poolOf(endpoints.data), endpoints.data, this.#keys, parts.tracer),
      trading: new BrokerWire(poolOf(trading), trading, this.#keys, parts.tracer),
    };
    this.wire = { get: (host, path, options) => this.#get(host, path, options) };
  }

  openStream(path: string, events: StreamEvents): DataStream {
    const url = `${this.parts.endpoints.streamData.replace(/\/+$/, '')}/${path}`;
    const options = {
      url,
      keys: this.#keys,
      openTimeoutMs: OPEN_TIMEOUT_MS,
      pingIntervalMs: PING_INTERVAL_MS,
    };
    return openDataStream(options, events, this.parts.clock);
  }

  async #get(host: UpstreamHost, path: string, options: WireOptions): Promise<WireReply> {
    const result = await this.#wires[host].send({ method: 'GET', path, ...options });
    if (result.kind === 'answered') return result;
    // A read that may have arrived and was not answered is, for its asker, one that came too late.
    const isTimeout = result.kind === 'ambiguous' || result.reason === 'deadline';
    return { kind: 'failed', isTimeout, detail: result.detail };
  }
}
