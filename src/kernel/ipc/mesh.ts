/**
 * The mesh as its users see it: one worker asks another over a Unix socket; the primary is never in the way. Every call
 * has a deadline, every queue a bound. Implemented beside this file; tests join two ends in memory.
 */

/** Closed list of subjects that workers talk about; each has one handler a worker. */
export type MeshChannel = 'account' | 'market-data' | 'quotes' | 'order-events' | 'subscriptions' | 'status';

export interface MeshMessage {
  /** Plain JSON data. */
  readonly header: unknown;
  /** Bytes that nobody on the way looks into. */
  readonly body?: Uint8Array;
}

export interface CallOptions {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

export interface Mesh {
  readonly slot: number;
  /** @throws GatewayError PEER_GONE, DEADLINE_EXCEEDED, QUEUE_FULL, CALL_CANCELED */
  call(slot: number, channel: MeshChannel, message: MeshMessage, options: CallOptions): Promise<MeshMessage>;
  /** Fire and forget. False when the peer is away or its queue is full: the caller decides what that means. */
  notify(slot: number, channel: MeshChannel, message: MeshMessage): boolean;
  /** Notifies every connected peer; returns how many took it. The frame is encoded once. */
  broadcast(channel: MeshChannel, message: MeshMessage): number;
  peers(): readonly number[];
  onCall(
    channel: MeshChannel,
    handle: (message: MeshMessage, from: number, signal: AbortSignal) => Promise<MeshMessage>,
  ): void;
  onNotify(channel: MeshChannel, handle: (message: MeshMessage, from: number) => void): void;
  /** A peer appeared or went. */
  onPeer(listen: (slot: number, connected: boolean) => void): void;
  close(): Promise<void>;
}
