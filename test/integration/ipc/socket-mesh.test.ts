import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GatewayError } from '../../../src/kernel/domain/errors.js';
import { encodeFrame } from '../../../src/kernel/ipc/frame.js';
import { SocketMesh } from '../../../src/kernel/ipc/socket-mesh.js';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';

let dir: string;
let meshes: SocketMesh[];
const clock = new SystemClock();

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'opitios-mesh-'));
  meshes = [];
});
afterEach(async () => {
  for (const mesh of meshes) await mesh.close();
  rmSync(dir, { recursive: true });
});

async function aMesh(slot: number, prepare: (mesh: SocketMesh) => void = () => undefined, bounds = {}) {
  const mesh = new SocketMesh({ slot, slots: [0, 1, 2], dir, secret: 'boot', ...bounds }, clock, silentLog);
  prepare(mesh);
  await mesh.start();
  meshes.push(mesh);
  return mesh;
}

const echo = (mesh: SocketMesh): void =>
  mesh.onCall('account', (message, from) => Promise.resolve({ ...message, header: { from, was: message.header } }));
const soon = { deadlineMs: 5_000 };

test('a call comes back with its body byte for byte, many at once, each its own', async () => {
  const a = await aMesh(0);
  await aMesh(1, echo);
  await connected(a, 1);
  const bodies = Array.from({ length: 200 }, (_, n) => Buffer.alloc(n * 500, n));

  const answers = await Promise.all(bodies.map((body, n) => a.call(1, 'account', { header: { n }, body }, soon)));

  expect(answers.map(({ header }) => header)).toEqual(bodies.map((_, n) => ({ from: 0, was: { n } })));
  answers.forEach(({ body }, n) => expect(Buffer.from(body ?? []).equals(bodies[n] ?? Buffer.alloc(0))).toBe(true));
});

test('a stranger without the boot secret is turned away', async () => {
  let heard = 0;
  await aMesh(1, (mesh) => mesh.onNotify('status', () => (heard += 1)));
  const socket = connect(join(dir, 'w1.sock'));
  const frame = (kind: 'hello' | 'notify', header: unknown): void => {
    for (const part of encodeFrame({ kind, channel: 'status', callId: 0, header })) socket.write(part);
  };
  frame('hello', { version: 1, slot: 0, secret: 'guess' });
  frame('notify', {});

  await new Promise((resolve) => socket.on('close', resolve));
  expect(heard).toBe(0);
  expect(statSync(join(dir, 'w1.sock')).mode & 0o777).toBe(0o600);
});

test('a call to a peer that is not there fails at once and sends nothing', async () => {
  const a = await aMesh(0);

  await expect(a.call(1, 'account', { header: null }, soon)).rejects.toMatchObject({ code: 'PEER_GONE' });
  await expect(a.call(7, 'account', { header: null }, soon)).rejects.toMatchObject({ code: 'PEER_GONE' });
  expect(a.notify(1, 'status', { header: null })).toBe(false);
});

test('a peer that dies ends the calls that wait for it, and is dialed again when it is back', async () => {
  const a = await aMesh(0);
  const b = await aMesh(1, (mesh) => mesh.onCall('account', () => new Promise(() => undefined)));
  await connected(a, 1);
  const waiting = a.call(1, 'account', { header: null }, soon);
  await b.close();

  await expect(waiting).rejects.toMatchObject({ code: 'PEER_GONE' });
  await aMesh(1, echo);
  await connected(a, 1);
  expect((await a.call(1, 'account', { header: 1 }, soon)).header).toEqual({ from: 0, was: 1 });
});

test('a deadline and a cancel both end the call here and at the peer', async () => {
  const ended: boolean[] = [];
  const a = await aMesh(0);
  await aMesh(1, (mesh) =>
    mesh.onCall(
      'account',
      (_message, _from, signal) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            ended.push(true);
            reject(new GatewayError('CALL_CANCELED'));
          }),
        ),
    ),
  );
  await connected(a, 1);
  const cancel = new AbortController();
  const canceled = a.call(1, 'account', { header: null }, { deadlineMs: 5_000, signal: cancel.signal });
  cancel.abort();

  await expect(canceled).rejects.toMatchObject({ code: 'CALL_CANCELED' });
  await expect(a.call(1, 'account', { header: null }, { deadlineMs: 20 })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
  await until(() => ended.length === 2);
});

test('an error keeps its code over the mesh', async () => {
  const a = await aMesh(0);
  await aMesh(1, (mesh) => mesh.onCall('account', () => Promise.reject(new GatewayError('JOURNAL_BROKEN'))));
  await connected(a, 1);

  await expect(a.call(1, 'account', { header: null }, soon)).rejects.toMatchObject({ code: 'JOURNAL_BROKEN' });
});

test('calls beyond the bound are refused before anything is sent', async () => {
  const a = await aMesh(0, undefined, { pendingMax: 2 });
  await aMesh(1, (mesh) => mesh.onCall('account', () => new Promise(() => undefined)));
  await connected(a, 1);
  const ends = [1, 2].map(() => a.call(1, 'account', { header: null }, soon).catch(() => 'ended'));

  await expect(a.call(1, 'account', { header: null }, soon)).rejects.toMatchObject({ code: 'QUEUE_FULL' });
  await a.close();
  expect(await Promise.all(ends)).toEqual(['ended', 'ended']);
});

test('a broadcast reaches every peer once and does not wait for one that stopped reading', async () => {
  const heard: string[] = [];
  const a = await aMesh(0, undefined, { queuedBytesMax: 1_000 });
  for (const slot of [1, 2]) {
    await aMesh(slot, (mesh) =>
      mesh.onNotify('quotes', (message, from) => heard.push(`${from}>${slot} ${String(message.body?.length)}`)),
    );
    await connected(a, slot);
  }

  expect(a.broadcast('quotes', { header: null, body: Buffer.alloc(10) })).toBe(2);

  await until(() => heard.length === 2);
  expect(heard.sort()).toEqual(['0>1 10', '0>2 10']);
});

async function connected(mesh: SocketMesh, slot: number): Promise<void> {
  await until(() => mesh.peers().includes(slot));
}

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000 && !holds(); turn += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(holds()).toBe(true);
}
