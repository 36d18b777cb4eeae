import { afterEach, expect, test } from '@jest/globals';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { sendInSlices, SLICE_BYTES } from '../../../src/workers/http/slices.js';
import { aRandom } from '../../support/random.js';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

const random = aRandom(5);
const BODY = Buffer.from(Array.from({ length: 20 * SLICE_BYTES + 17 }, () => random.below(256)));

/** Answers everything with the body, and counts the turns of the event loop that an answer takes. */
async function serving(): Promise<{
  readonly url: string;
  readonly turns: () => number;
  readonly ended: Promise<void>;
}> {
  let turns = 0;
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  server = createServer((_req, res) => {
    const count = (): void => {
      turns += 1;
      if (!res.writableEnded && !res.destroyed) setImmediate(count);
    };
    res.on('close', end);
    res.writeHead(200, { 'Content-Length': BODY.length });
    setImmediate(count);
    sendInSlices(res, BODY);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, turns: () => turns, ended };
}

async function asked(url: string): Promise<IncomingMessage> {
  const [response] = (await once(get(url), 'response')) as [IncomingMessage];
  return response;
}

test('a large body arrives whole, and others have their turn between its slices', async () => {
  const { url, turns } = await serving();
  const chunks: Buffer[] = [];
  for await (const chunk of await asked(url)) chunks.push(chunk as Buffer);

  expect(Buffer.concat(chunks).equals(BODY)).toBe(true);
  expect(turns()).toBeGreaterThanOrEqual(20);
});

test('a client that goes in the middle ends the sending', async () => {
  const { url, ended } = await serving();
  const response = await asked(url);
  await once(response, 'data');
  response.destroy();

  await ended;
});
