/**
 * A local Alpaca: one port for trading REST, data REST and all streams, a second port for the control door. Builds and
 * wires everything; imports nothing of the gateway, because a witness that shares the parser shares its mistakes.
 */
import { Keys, MASTER_ID, type AccountKeys } from './accounts.js';
import { ManualSimClock, RealSimClock, type SimClock } from './clock.js';
import { Control } from './control/control.js';
import { ControlDoor } from './control/control-door.js';
import { Counters } from './control/counters.js';
import { Ledger, type LedgerOptions } from './control/ledger.js';
import { FaultTable } from './faults/fault-table.js';
import type { ChainSize } from './market/contracts.js';
import { dataRoutes } from './market/data-routes.js';
import { createMarketFaults, type MarketFaults } from './market/market-faults.js';
import { createMarket, type Market, type MarketOptions } from './market/market.js';
import { DataStreams } from './market/streams/data-streams.js';
import { RateLimit } from './rate-limit.js';
import { TradeStream } from './streams/trade-stream.js';
import type { Behaviour } from './venue/behaviour.js';
import { ONE, parseNano } from './venue/decimal.js';
import { tapeOf } from './venue/market-tape.js';
import { SeededRandom } from './venue/seeded-random.js';
import { Venue } from './venue/venue.js';
import { VenueServer } from './venue-server.js';

export interface SimulatorOptions {
  /** How many accounts exist at the start, besides the master. 10 unless given. */
  readonly accounts?: number;
  readonly port?: number;
  readonly controlPort?: number;
  /** 127.0.0.1 unless given. The control door never leaves the loopback interface. */
  readonly host?: string;
  /** Keys, ids, chances and prices follow from it. 1 unless given. */
  readonly seed?: number;
  /** `manual`: time stands still until `control.advance`. */
  readonly clock?: 'real' | 'manual';
  /** How many stocks, or which. */
  readonly symbols?: number | readonly string[];
  readonly optionUnderlyings?: readonly ChainSize[];
  /** Price changes per second over all symbols. 0 unless given: prices move only by `control.setPrice`. */
  readonly ticksPerSecond?: number;
  /** 200 unless given, as at the broker. */
  readonly requestsPerMinute?: number;
  /** 10 000 unless given (the paid plan). */
  readonly dataRequestsPerMinute?: number;
  /** Decimal dollars in each account, 100 000 unless given. */
  readonly startingCash?: string;
  /** Binary (paper) unless given. */
  readonly frames?: 'binary' | 'text';
  readonly ledger?: LedgerOptions;
  readonly behaviour?: Partial<Behaviour>;
  /** Plan and faults of the data side; see market/market-faults.ts. */
  readonly marketFaults?: Partial<MarketFaults>;
}

export interface Simulator {
  readonly url: string;
  readonly controlUrl: string;
  readonly endpoints: SimulatorEndpoints;
  readonly accounts: readonly AccountKeys[];
  readonly master: { readonly apiKey: string; readonly secretKey: string };
  readonly control: Control;
  readonly clock: SimClock;
  readonly market: Market;
  /** Cuts every connection and stops every timer. Twice is harmless. */
  close(): Promise<void>;
}

export interface SimulatorEndpoints {
  readonly trading: string;
  readonly data: string;
  readonly streamTrading: string;
  /** Without the feed: append `/v2/iex` and the like. */
  readonly streamData: string;
}

export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = '127.0.0.1' } = options;
  const { server, control, door, clock, market, venue, keys, startingCash } = build(options);
  for (let count = options.accounts ?? 10; count > 0; count -= 1) control.addAccount();
  venue.addAccount(MASTER_ID, startingCash);
  const master = keys.issue(MASTER_ID);
  const port = await server.listen(options.port ?? 0, host);
  const controlPort = await door.listen(options.controlPort ?? 0);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await door.close();
    await server.close();
    venue.close();
    market.close();
    if (clock instanceof RealSimClock) clock.close();
  };
  const url = `http://${host}:${port}`;
  const socketUrl = `ws://${host}:${port}`;
  return {
    url,
    controlUrl: `http://127.0.0.1:${controlPort}`,
    endpoints: { trading: url, data: url, streamTrading: `${socketUrl}/stream`, streamData: socketUrl },
    accounts: control.accounts(),
    master: { apiKey: master.apiKey, secretKey: master.secretKey },
    control,
    clock,
    market,
    close: () => (closing ??= close()),
  };
}

interface Parts {
  readonly server: VenueServer;
  readonly control: Control;
  readonly door: ControlDoor;
  readonly clock: SimClock;
  readonly market: Market;
  readonly venue: Venue;
  readonly keys: Keys;
  readonly startingCash: bigint;
}

/** Every random source has a seed of its own, so that one more account never changes a price or a fault. */
function build(options: SimulatorOptions): Parts {
  const { seed = 1 } = options;
  const clock = options.clock === 'manual' ? new ManualSimClock() : new RealSimClock();
  const random = new SeededRandom(seed);
  const market = createMarket(marketOptions(options, clock));
  const keys = new Keys(new SeededRandom(seed ^ 0x6b657973));
  const faults = new FaultTable(new SeededRandom(seed ^ 0x6661756c));
  const counters = new Counters();
  const ledger = new Ledger(options.ledger);
  const venue = new Venue({ tape: tapeOf(market), clock, random });
  Object.assign(venue.behaviour, options.behaviour);
  const limits = {
    trading: new RateLimit(clock, options.requestsPerMinute ?? 200),
    data: new RateLimit(clock, options.dataRequestsPerMinute ?? 10_000),
  };
  const tradeStream = new TradeStream({
    ...{ keys, faults, meter: counters, frames: options.frames ?? 'binary' },
    eventDelayMs: () => venue.behaviour.eventDelayMs,
  });
  venue.executor.onEvent((event) => tradeStream.publish(event));
  const marketFaults = createMarketFaults(options.marketFaults);
  const data = dataRoutes(market, { clock, keys, faults: marketFaults });
  const dataStreams = new DataStreams({
    market,
    clock,
    keys,
    faults: marketFaults,
    streamFaults: faults,
    meter: counters,
  });
  const streams = [tradeStream, dataStreams];
  const shared = { venue, market, keys, clock, ledger, counters, faults, limits, streams, marketFaults };
  const server = new VenueServer({ ...shared, random, data });
  const startingCash = parseNano(options.startingCash ?? '100000') ?? 100_000n * ONE;
  const cutConnections = (): number => server.cutConnections();
  const control = new Control({ ...shared, tradeStream, startingCash, cutConnections });
  return { server, control, door: new ControlDoor(control), clock, market, venue, keys, startingCash };
}

function marketOptions(options: SimulatorOptions, clock: SimClock): MarketOptions {
  return {
    seed: options.seed ?? 1,
    clock,
    ...(options.symbols === undefined ? {} : { symbols: options.symbols }),
    ...(options.optionUnderlyings === undefined ? {} : { optionUnderlyings: options.optionUnderlyings }),
    ticksPerSecond: options.ticksPerSecond ?? 0,
  };
}
