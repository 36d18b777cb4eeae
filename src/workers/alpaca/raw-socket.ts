/** A `ws` socket for the SDK's streams that lets the gateway see every frame first, with the close code and pings. */
import type { streaming } from '@alpacahq/alpaca-trade-api';
import { WebSocket } from 'ws';

export interface RawSocketHooks {
  /** False: the SDK does not see the frame. */
  onFrame(frame: Buffer): boolean;
  onClose(code: number, reason: string): void;
  onPong(payload: string): void;
}

export interface RawSocket {
  readonly forSdk: streaming.WebSocketLike;
  /** The payload comes back with the answer (RFC 6455 5.5.3). */
  ping(payload?: string): void;
  terminate(): void;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
const FRAME_BYTES_MAX = 16 << 20;

export function openRawSocket(url: string, isMsgpack: boolean, hooks: RawSocketHooks): RawSocket {
  const socket = new WebSocket(url, {
    perMessageDeflate: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: FRAME_BYTES_MAX,
    followRedirects: false,
    ...(isMsgpack && { headers: { 'Content-Type': 'application/msgpack' } }),
  });
  socket.on('close', (code, reason) => hooks.onClose(code, reason.toString()));
  socket.on('pong', (payload) => hooks.onPong(payload.toString('latin1')));
  // 'close' follows; its words are in the close hook.
  socket.on('error', () => undefined);
  const forSdk: streaming.WebSocketLike = {
    on(event: string, listen: (...args: never[]) => void) {
      const hear = listen as (...args: unknown[]) => void;
      if (event === 'message') {
        socket.on('message', (data: Buffer) => {
          if (hooks.onFrame(data)) hear(data);
        });
      } else socket.on(event, hear);
      return forSdk;
    },
    send: (data: string | Uint8Array) => {
      // The SDK may speak while the socket is closing; 'close' tells it soon enough.
      if (socket.readyState === WebSocket.OPEN) socket.send(data);
    },
    close: (code?: number, reason?: string) => socket.close(code, reason),
    terminate: () => socket.terminate(),
    ping: () => undefined,
    get readyState() {
      return socket.readyState;
    },
  };
  return {
    forSdk,
    ping: (payload) => {
      if (socket.readyState === WebSocket.OPEN) socket.ping(payload);
    },
    terminate: () => socket.terminate(),
  };
}
