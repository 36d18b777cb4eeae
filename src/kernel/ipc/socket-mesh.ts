/**
 * The mesh over Unix sockets: each worker listens on one of its own and dials every peer's. A call travels on the
 * caller's connection and its answer comes back on it, so that two workers that start at once cannot cross.
 */
import { join } from 'node:path';
import { GatewayError } from '../domain/errors.js';
import type { Clock } from '../runtime/clock.js';
import type { Log } from '../runtime/log.js';
import type { CallOptions, Mesh, MeshChannel, MeshMessage } from './mesh.js';
import { MeshLink, notifyFrame } from './mesh-link.js';
import { MeshServer } from './mesh-server.js';

export interface SocketMeshOptions {
  readonly slot: number;
  /** All slots of the instance, this one included. */
  readonly slots: readonly number[];
  /** Mode 0700, the same for all workers of a boot. */
  readonly dir: string;
  /** Made by the primary for this boot. */
  readonly secret: string;
  readonly queuedBytesMax?: number;
  readonly pendingMax?: number;
}

type CallHandler = Parameters<Mesh['onCall']>[1];
type NotifyHandler = Parameters<Mesh['onNotify']>[1];

export class SocketMesh implements Mesh {
  readonly slot: number;
  readonly #server: MeshServer;
  readonly #links = new Map<number, MeshLink>();
  readonly #callHandlers = new Map<MeshChannel, CallHandler>();
  readonly #notifyHandlers = new Map<MeshChannel, NotifyHandler[]>();
  readonly #peerListeners: ((slot: number, isConnected: boolean) => void)[] = [];

  constructor(
    private readonly options: SocketMeshOptions,
    private readonly clock: Clock,
    log: Log,
  ) {
    this.slot = options.slot;
    const handlers = {
      onCall: (channel: MeshChannel, message: MeshMessage, from: number, signal: AbortSignal) =>
        this.#answer(channel, message, from, signal),
      onNotify: (channel: MeshChannel, message: MeshMessage, from: number) => {
        for (const handle of this.#notifyHandlers.get(channel) ?? []) handle(message, from);
      },
    };
    this.#server = new MeshServer(socketPath(options.dir, options.slot), options.secret, handlers, log);
  }

  /** Register the handlers first: a peer may call as soon as this listens. */
  async start(): Promise<void> {
    await this.#server.listen();
    const { slot, slots, dir, secret } = this.options;
    for (const peer of slots) {
      if (peer === slot) continue;
      const link = new MeshLink(
        {
          path: socketPath(dir, peer),
          hello: { slot, secret },
          queuedBytesMax: this.options.queuedBytesMax ?? 64 << 20,
          pendingMax: this.options.pendingMax ?? 10_000,
        },
        this.clock,
        (isUp) => {
          for (const listen of this.#peerListeners) listen(peer, isUp);
        },
      );
      this.#links.set(peer, link);
    }
  }

  call(slot: number, channel: MeshChannel, message: MeshMessage, options: CallOptions): Promise<MeshMessage> {
    const link = this.#links.get(slot);
    if (link === undefined) return Promise.reject(new GatewayError('PEER_GONE', { slot }));
    return link.call(channel, message, options);
  }

  notify(slot: number, channel: MeshChannel, message: MeshMessage): boolean {
    return this.#links.get(slot)?.write(notifyFrame(channel, message)) ?? false;
  }

  broadcast(channel: MeshChannel, message: MeshMessage): number {
    if (this.#links.size === 0) return 0;
    const parts = notifyFrame(channel, message);
    let taken = 0;
    for (const link of this.#links.values()) if (link.write(parts)) taken += 1;
    return taken;
  }

  peers(): readonly number[] {
    return [...this.#links].filter(([, link]) => link.isUp).map(([slot]) => slot);
  }

  onCall(channel: MeshChannel, handle: CallHandler): void {
    this.#callHandlers.set(channel, handle);
  }

  onNotify(channel: MeshChannel, handle: NotifyHandler): void {
    this.#notifyHandlers.set(channel, [...(this.#notifyHandlers.get(channel) ?? []), handle]);
  }

  onPeer(listen: (slot: number, isConnected: boolean) => void): void {
    this.#peerListeners.push(listen);
  }

  async close(): Promise<void> {
    for (const link of this.#links.values()) link.close();
    await this.#server.close();
  }

  #answer(channel: MeshChannel, message: MeshMessage, from: number, signal: AbortSignal): Promise<MeshMessage> {
    const handle = this.#callHandlers.get(channel);
    // A peer that starts earlier than this worker's parts asks again: its caller waits for an owner.
    if (handle === undefined) return Promise.reject(new GatewayError('PEER_GONE', { channel }));
    return handle(message, from, signal);
  }
}

function socketPath(dir: string, slot: number): string {
  return join(dir, `w${slot}.sock`);
}
