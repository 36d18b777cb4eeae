/** The asking half of the mesh: one connection to one peer, dialed again for as long as the peer may come back. */
import { connect, type Socket } from 'node:net';
import { GatewayError, type GatewayErrorCode } from '../domain/errors.js';
import type { Clock } from '../runtime/clock.js';
import { encodeFrame, FrameReader, type Frame } from './frame.js';
import type { CallOptions, MeshChannel, MeshMessage } from './mesh.js';
import { MeshCalls } from './mesh-calls.js';
import { MESH_VERSION, send, type Hello } from './mesh-server.js';

export interface MeshLinkOptions {
  readonly path: string;
  readonly hello: Omit<Hello, 'version'>;
  /** Bytes waiting for the peer beyond which a call or notice is refused. */
  readonly queuedBytesMax: number;
  readonly pendingMax: number;
}

const RETRY_MIN_MS = 10;
const RETRY_MAX_MS = 250;

export class MeshLink {
  readonly #calls: MeshCalls;
  #socket: Socket | undefined;
  #isUp = false;
  #isClosed = false;
  #retryMs = RETRY_MIN_MS;

  constructor(
    private readonly options: MeshLinkOptions,
    private readonly clock: Clock,
    private readonly onChange: (isUp: boolean) => void,
  ) {
    const cancel = (callId: number): void => {
      if (this.#isUp && this.#socket !== undefined) {
        send(this.#socket, { kind: 'cancel', channel: 'account', callId, header: null });
      }
    };
    this.#calls = new MeshCalls(clock, cancel, options.pendingMax);
    this.#dial();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  call(channel: MeshChannel, message: MeshMessage, options: CallOptions): Promise<MeshMessage> {
    return this.#calls.start(options, (callId) => {
      const socket = this.#ready();
      send(socket, { kind: 'call', channel, callId, ...message });
    });
  }

  /** Takes a frame that was encoded once for several peers. */
  write(parts: readonly Uint8Array[]): boolean {
    if (!this.#isUp || this.#socket === undefined || this.#isFull(this.#socket)) return false;
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.destroy();
    this.#calls.endAll();
  }

  /** @throws GatewayError PEER_GONE, QUEUE_FULL: in both cases nothing was sent. */
  #ready(): Socket {
    if (!this.#isUp || this.#socket === undefined) throw new GatewayError('PEER_GONE');
    if (this.#isFull(this.#socket)) throw new GatewayError('QUEUE_FULL');
    return this.#socket;
  }

  #isFull(socket: Socket): boolean {
    return socket.writableLength > this.options.queuedBytesMax;
  }

  #dial(): void {
    if (this.#isClosed) return;
    const reader = new FrameReader();
    const socket = connect(this.options.path);
    this.#socket = socket;
    socket.on('connect', () => {
      send(socket, {
        kind: 'hello',
        channel: 'account',
        callId: 0,
        header: { version: MESH_VERSION, ...this.options.hello },
      });
      this.#retryMs = RETRY_MIN_MS;
      this.#isUp = true;
      this.onChange(true);
    });
    socket.on('data', (chunk) => {
      try {
        for (const frame of reader.push(chunk)) this.#hear(frame);
      } catch {
        socket.destroy();
      }
    });
    // 'close' follows and says all there is to say.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#lost());
  }

  #hear(frame: Frame): void {
    if (frame.kind === 'answer') {
      this.#calls.answered(frame.callId, {
        header: frame.header,
        ...(frame.body !== undefined && { body: frame.body }),
      });
    } else if (frame.kind === 'failure') {
      this.#calls.failed(frame.callId, (frame.header as { code: GatewayErrorCode }).code);
    }
  }

  #lost(): void {
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.#socket = undefined;
    this.#calls.endAll();
    if (wasUp) this.onChange(false);
    if (this.#isClosed) return;
    this.clock.after(this.#retryMs, () => this.#dial());
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
  }
}

export function notifyFrame(channel: MeshChannel, message: MeshMessage): readonly Uint8Array[] {
  return encodeFrame({ kind: 'notify', channel, callId: 0, ...message });
}
