/** The answering half of the mesh: listens on this slot's socket, turns strangers away, serves its peers' calls. */
import { timingSafeEqual } from 'node:crypto';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { GatewayError } from '../domain/errors.js';
import type { Log } from '../runtime/log.js';
import { encodeFrame, FrameReader, type Frame } from './frame.js';
import type { MeshChannel, MeshMessage } from './mesh.js';

export const MESH_VERSION = 1;

export interface Hello {
  readonly version: number;
  readonly slot: number;
  readonly secret: string;
}

export interface MeshHandlers {
  onCall(channel: MeshChannel, message: MeshMessage, from: number, signal: AbortSignal): Promise<MeshMessage>;
  onNotify(channel: MeshChannel, message: MeshMessage, from: number): void;
}

export class MeshServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(
    private readonly path: string,
    private readonly secret: string,
    private readonly handlers: MeshHandlers,
    private readonly log: Log,
  ) {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** The last owner of the slot is dead by the kernel's word, so a socket file that is there is its leftover. */
  async listen(): Promise<void> {
    rmSync(this.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.path, resolve);
    });
    chmodSync(this.path, 0o600);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const reader = new FrameReader();
    const calls = new Map<number, AbortController>();
    let peer: number | undefined;
    socket.on('data', (chunk) => {
      try {
        for (const frame of reader.push(chunk)) {
          peer ??= this.#greet(frame);
          if (frame.kind !== 'hello') this.#serve(frame, peer, socket, calls);
        }
      } catch (cause) {
        this.log.warn({ peer, cause: String(cause) }, 'mesh connection refused');
        socket.destroy();
      }
    });
    socket.on('error', (cause) => this.log.debug({ peer, cause: cause.message }, 'mesh socket error'));
    socket.on('close', () => {
      this.#sockets.delete(socket);
      // The asker is gone; what changes something goes on (the owner decides), what only reads may stop.
      for (const controller of calls.values()) controller.abort();
    });
  }

  /** @throws GatewayError MESSAGE_INVALID for a stranger, or a worker of another build. */
  #greet(frame: Frame): number {
    const hello = frame.header as Partial<Hello> | null;
    const isKnown = frame.kind === 'hello' && hello !== null && sameSecret(hello.secret ?? '', this.secret);
    if (!isKnown || hello.version !== MESH_VERSION || typeof hello.slot !== 'number') {
      throw new GatewayError('MESSAGE_INVALID', { version: hello?.version });
    }
    return hello.slot;
  }

  #serve(frame: Frame, peer: number, socket: Socket, calls: Map<number, AbortController>): void {
    const message = { header: frame.header, ...(frame.body !== undefined && { body: frame.body }) };
    if (frame.kind === 'notify') this.handlers.onNotify(frame.channel, message, peer);
    else if (frame.kind === 'cancel') calls.get(frame.callId)?.abort();
    else if (frame.kind === 'call') void this.#call({ frame, message, peer, socket, calls });
  }

  async #call(call: {
    readonly frame: Frame;
    readonly message: MeshMessage;
    readonly peer: number;
    readonly socket: Socket;
    readonly calls: Map<number, AbortController>;
  }): Promise<void> {
    const { frame, message, peer, socket, calls } = call;
    const controller = new AbortController();
    calls.set(frame.callId, controller);
    try {
      const answer = await this.handlers.onCall(frame.channel, message, peer, controller.signal);
      send(socket, { ...frame, kind: 'answer', ...answer });
    } catch (cause) {
      const code = cause instanceof GatewayError ? cause.code : 'CALL_CANCELED';
      if (!(cause instanceof GatewayError)) this.log.error({ peer, cause }, 'mesh call failed');
      send(socket, { kind: 'failure', channel: frame.channel, callId: frame.callId, header: { code } });
    } finally {
      calls.delete(frame.callId);
    }
  }
}

export function send(socket: Socket, frame: Frame): void {
  if (socket.destroyed) return;
  const parts = encodeFrame({
    kind: frame.kind,
    channel: frame.channel,
    callId: frame.callId,
    header: frame.header,
    ...(frame.body !== undefined && { body: frame.body }),
  });
  socket.cork();
  for (const part of parts) socket.write(part);
  socket.uncork();
}

function sameSecret(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
