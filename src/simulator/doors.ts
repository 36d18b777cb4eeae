/**
 * What the frame (ports, keys, faults, counters) offers to the halves plugged into it: market data builds on these
 * and on the clock, and on nothing else of the frame. REST faults, the ledger and rate limits are applied by the frame
 * around every handler, so a handler only answers.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Who a key pair belongs to. The master pair is an account like any other, with `isMaster` set. */
export interface KeyOwner {
  readonly accountId: string;
  readonly isMaster: boolean;
}

export interface KeyRing {
  /** undefined for a wrong, missing, revoked or broken pair. */
  ownerOf(apiKey: string | undefined, secretKey: string | undefined): KeyOwner | undefined;
}

/** Counts connections for `control.counters()`; `feed` is the path without its leading slash, e.g. `v2/iex`. */
export interface StreamMeter {
  opened(feed: string, accountId: string | undefined): void;
  closed(feed: string, accountId: string | undefined): void;
}

/** What is to happen to one stream right now; asked before every frame, answer and pong. */
export interface StreamFaults {
  /** True while a matching switch says that the server goes silent: nothing is sent, not even a pong. */
  isMuted(feed: string, accountId: string | undefined): boolean;
  /** What becomes of an authentication message. `normal` unless a switch says otherwise; consumes its count. */
  onAuthenticate(feed: string, accountId: string | undefined): 'normal' | 'never' | 'unauthorized' | 'close';
  /** HTTP status with which the upgrade is refused, or undefined to accept. */
  onUpgrade(feed: string): number | undefined;
}

/** Answers and returns true, or returns false and touches nothing. Writes through `res` with writeHead and end. */
export type RestHandler = (req: IncomingMessage, res: ServerResponse, url: URL) => boolean;

/** Streams that live on the venue's port: the frame asks each in turn whether a path is its own. */
export interface StreamMount {
  /** Takes the socket over and returns true when the path is one of its own. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): boolean;
  /** Cuts every live connection of these accounts (all when undefined); abrupt means without a close frame. */
  drop(accounts: readonly string[] | undefined, abrupt: boolean): number;
  close(): Promise<void>;
}
