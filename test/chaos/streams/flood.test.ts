/**
 * Clients that send frames without end, whatever they are told, beside one that behaves. `npm run chaos -- streams/flood` sends
 * a million of each kind.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { eventually, startGateway, type GatewayProcess } from '../../support/gateway-process.js';

const FRAMES = process.env['OPITIOS_LONG'] === '1' ? 1_000_000 : 50_000;
const IN_A_WRITE = 1_000;

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway({ accounts: 2 });
}, 60_000);
afterAll(() => gateway.stop(), 60_000);

/** A client's frame with an all-zero mask: the payload stands as it is (RFC 6455 5.2). */
function frame(opcode: number, payload: Buffer, isLast = true): Buffer {
  const size = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff];
  const [first = 0, ...rest] = size;
  return Buffer.concat([Buffer.from([(isLast ? 0x80 : 0) | opcode, 0x80 | first, ...rest, 0, 0, 0, 0]), payload]);
}

const PING = Buffer.from('{"action":"ping"}');
const KINDS: readonly (readonly [name: string, frames: readonly Buffer[], closeCode: number])[] = [
  ['whole messages', [frame(1, PING)], 4429],
  [
    'messages in three fragments',
    [frame(1, PING.subarray(0, 5), false), frame(0, PING.subarray(5, 9), false), frame(0, PING.subarray(9))],
    4429,
  ],
  ['fragments of one message without an end', [frame(0, Buffer.alloc(64, 0x20), false)], 1009],
  ['text that is not UTF-8', [frame(1, Buffer.from([0xff, 0xfe, 0xfd]))], 1007],
  ['messages too large', [frame(1, Buffer.alloc(20_000, 0x20))], 1009],
  ['frames of the protocol’s own ping', [frame(9, Buffer.from('x'))], 4429],
  ['pongs that answer nothing', [frame(10, Buffer.from('x'))], 4429],
];

async function opened(): Promise<Socket> {
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const head = [
    ...['GET /api/v1/stream HTTP/1.1', `Host: ${hostname}:${port}`, 'Connection: Upgrade', 'Upgrade: websocket'],
    ...['Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`],
    `Authorization: Bearer ${await gateway.token({ subject: randomBytes(6).toString('hex') })}`,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 101 /);
  return socket;
}

/** Sends until all are sent or the other side is gone. @returns how many went, and the close code it was told */
async function flood(
  frames: readonly Buffer[],
  first: readonly Buffer[],
): Promise<{ readonly sent: number; readonly code: number }> {
  const socket = await opened();
  let code = 0;
  let isGone = false;
  let tail = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-400);
    // A close frame: 0x88, a length, the code.
    for (let at = tail.indexOf(0x88); at >= 0 && code === 0; at = tail.indexOf(0x88, at + 1)) {
      const found = at + 4 <= tail.length ? tail.readUInt16BE(at + 2) : 0;
      if ([1007, 1009, 1013, 4401, 4429].includes(found)) code = found;
    }
  });
  const gone = new Promise<void>((resolve) => {
    for (const event of ['close', 'error', 'end'] as const)
      socket.once(event, () => {
        isGone = true;
        resolve();
      });
  });
  for (const one of first) socket.write(one);
  const round = Buffer.concat(Array.from({ length: Math.ceil(IN_A_WRITE / frames.length) }, () => frames).flat());
  let sent = 0;
  const goesOn = (): boolean => sent < FRAMES && !isGone;
  while (goesOn()) {
    sent += IN_A_WRITE;
    if (!socket.write(round)) await Promise.race([once(socket, 'drain').catch(() => undefined), gone]);
  }
  await gone;
  socket.destroy();
  return { sent, code };
}

test.each(KINDS)(
  `up to ${FRAMES} %s end their own socket with its code, and nobody else notices`,
  async (name, frames, closeCode) => {
    const pongs: number[] = [];
    const good = new WebSocket(`${gateway.url.replace('http', 'ws')}/api/v1/stream`, {
      headers: { authorization: `Bearer ${await gateway.token({ subject: 'good' })}` },
    });
    let closed = 0;
    good.on('close', (code) => (closed = code));
    good.on('message', (data: Buffer) => {
      if (data.includes('"pong"')) pongs.push(performance.now());
    });
    await once(good, 'open');
    const asking = setInterval(() => good.send('{"action":"ping"}'), 200);
    const before = (await gateway.pool()).workers.map(({ pid }) => pid);

    const isOneMessage = name.startsWith('fragments');
    const { sent, code } = await flood(frames, isOneMessage ? [frame(1, Buffer.alloc(64, 0x20), false)] : []);
    const during = pongs.length;
    await eventually(() => pongs.length > during, 'the good one is answered');
    clearInterval(asking);
    good.terminate();
    console.log(`${name}: ${sent} frames sent, closed with ${code}`);

    expect(code).toBe(closeCode);
    expect(closed).toBe(0);
    expect((await gateway.pool()).workers.map(({ pid }) => pid)).toEqual(before);
  },
  120_000,
);
