/** Workers of one process joined in memory: the mesh without sockets. A worker can be killed and started again. */
import { GatewayError } from '../../src/kernel/domain/errors.js';
import type { CallOptions, Mesh, MeshChannel, MeshMessage } from '../../src/kernel/ipc/mesh.js';

type CallHandler = (message: MeshMessage, from: number, signal: AbortSignal) => Promise<MeshMessage>;
type NotifyHandler = (message: MeshMessage, from: number) => void;

export class MemoryNetwork {
  readonly ends = new Map<number, MemoryMesh>();

  join(slot: number): MemoryMesh {
    const end = new MemoryMesh(slot, this);
    this.ends.set(slot, end);
    for (const other of this.ends.values()) {
      if (other === end) continue;
      queueMicrotask(() => {
        other.peerChanged(slot, true);
        end.peerChanged(other.slot, true);
      });
    }
    return end;
  }

  /** The worker is gone without a word. */
  kill(slot: number): void {
    this.ends.delete(slot);
    for (const other of this.ends.values()) other.peerChanged(slot, false);
  }
}

export class MemoryMesh implements Mesh {
  readonly #calls = new Map<MeshChannel, CallHandler>();
  readonly #notifies = new Map<MeshChannel, NotifyHandler>();
  readonly #listeners = new Set<(slot: number, connected: boolean) => void>();
  /** Messages sent, by channel. */
  readonly sent: { readonly to: number; readonly channel: MeshChannel }[] = [];
  /** Turns notifications away, as a full queue does. */
  isFull = false;

  constructor(
    readonly slot: number,
    private readonly network: MemoryNetwork,
  ) {}

  async call(slot: number, channel: MeshChannel, message: MeshMessage, options: CallOptions): Promise<MeshMessage> {
    const handle = this.network.ends.get(slot)?.handler(channel);
    if (handle === undefined) throw new GatewayError('PEER_GONE', { slot });
    this.sent.push({ to: slot, channel });
    // Headers cross as JSON.
    const crossing = { ...message, header: JSON.parse(JSON.stringify(message.header)) as unknown };
    return handle(crossing, this.slot, options.signal ?? new AbortController().signal);
  }

  notify(slot: number, channel: MeshChannel, message: MeshMessage): boolean {
    const handle = this.network.ends.get(slot)?.listener(channel);
    if (handle === undefined || this.isFull) return false;
    this.sent.push({ to: slot, channel });
    queueMicrotask(() => {
      handle(message, this.slot);
    });
    return true;
  }

  broadcast(channel: MeshChannel, message: MeshMessage): number {
    return this.peers().filter((slot) => this.notify(slot, channel, message)).length;
  }

  peers(): readonly number[] {
    return [...this.network.ends.keys()].filter((slot) => slot !== this.slot);
  }

  onCall(channel: MeshChannel, handle: CallHandler): void {
    this.#calls.set(channel, handle);
  }

  onNotify(channel: MeshChannel, handle: NotifyHandler): void {
    this.#notifies.set(channel, handle);
  }

  onPeer(listen: (slot: number, connected: boolean) => void): void {
    this.#listeners.add(listen);
  }

  close(): Promise<void> {
    this.network.kill(this.slot);
    return Promise.resolve();
  }

  handler(channel: MeshChannel): CallHandler | undefined {
    return this.#calls.get(channel);
  }

  listener(channel: MeshChannel): NotifyHandler | undefined {
    return this.#notifies.get(channel);
  }

  peerChanged(slot: number, connected: boolean): void {
    for (const listen of this.#listeners) listen(slot, connected);
  }
}
