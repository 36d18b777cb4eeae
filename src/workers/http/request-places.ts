/**
 * The places of requests under way. Verified requests share `limits.in_flight_max`; a request before its token is
 * verified, or of a route that asks for none, has a place of another kind, bounded by address and in all, so that
 * anonymous callers cannot keep verified ones out. A place is given back when the request is settled, whichever way.
 */
import type { Socket } from 'node:net';
import { AddressShares } from '../../kernel/runtime/address-shares.js';
import type { Exchange } from './exchange.js';

/** Of `in_flight_max`: as many anonymous requests more. */
const ANONYMOUS_SHARE = 0.25;
const ANONYMOUS_MIN = 16;

export class RequestPlaces {
  readonly #anonymous: AddressShares<Exchange>;
  /** Requests that wait behind another on their connection: such an answer is never closed when the connection ends. */
  readonly #pipelined = new WeakMap<Socket, Set<Exchange>>();
  #verified = 0;

  constructor(
    inFlightMax: number,
    private readonly settle: (exchange: Exchange) => void,
  ) {
    const max = Math.max(ANONYMOUS_MIN, Math.floor(inFlightMax * ANONYMOUS_SHARE));
    this.#anonymous = new AddressShares({ max, maxPerAddress: Math.ceil(max / 2) });
  }

  /** Verified requests under way. */
  get inFlight(): number {
    return this.#verified;
  }

  /** The connection has another request under way: this one is settled when the connection closes, at the latest. */
  waitBehind(exchange: Exchange): void {
    const { socket } = exchange.req;
    let waiting = this.#pipelined.get(socket);
    if (waiting === undefined) {
      const all = new Set<Exchange>();
      this.#pipelined.set(socket, (waiting = all));
      socket.once('close', () => {
        for (const one of all) this.settle(one);
      });
    }
    waiting.add(exchange);
  }

  takeAnonymous(exchange: Exchange, address: string): void {
    if (exchange.place !== undefined || exchange.settled) return;
    exchange.place = { kind: 'anonymous', address };
    this.#anonymous.take(address, exchange)?.req.socket.destroy();
  }

  takeVerified(exchange: Exchange): void {
    this.#giveBack(exchange);
    if (exchange.settled) return;
    exchange.place = { kind: 'verified' };
    this.#verified += 1;
  }

  settled(exchange: Exchange): void {
    this.#giveBack(exchange);
    this.#pipelined.get(exchange.req.socket)?.delete(exchange);
  }

  #giveBack(exchange: Exchange): void {
    const { place } = exchange;
    exchange.place = undefined;
    if (place?.kind === 'verified') this.#verified -= 1;
    if (place?.kind === 'anonymous') this.#anonymous.release(place.address, exchange);
  }
}
