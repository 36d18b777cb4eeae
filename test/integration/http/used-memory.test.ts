/** When the memory of an answer may be written again: not while the kernel has not taken all of it. */
import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Exchange } from '../../../src/workers/http/exchange.js';
import { securityHeaders } from '../../../src/workers/http/security-headers.js';
import { AnswerSender } from '../../../src/workers/http/sending.js';
import { eventually } from '../../support/eventually.js';

/** More than two kernels keep for a reader that has stopped. */
const BODY = Buffer.alloc(32 << 20, 'x');
const IDS = { requestId: 'r', traceId: 't', isTraced: false, traceparent: 'p' };

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

interface Serving {
  readonly url: string;
  readonly sent: () => number;
  readonly ended: () => boolean;
}

async function serving(): Promise<Serving> {
  let sent = 0;
  let isEnded = false;
  const sender = new AnswerSender(securityHeaders(false), {
    monotonicMs: () => 0,
    draining: () => false,
    answered: () => undefined,
  });
  server = createServer((req, res) => {
    res.on('close', () => (isEnded = true));
    const headers = { 'content-type': 'text/plain' };
    const reply = { kind: 'answer', status: 200, headers, body: BODY, sent: () => (sent += 1) } as const;
    sender.reply(new Exchange(req, res, 0, IDS), reply);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, sent: () => sent, ended: () => isEnded };
}

async function asked(url: string): Promise<IncomingMessage> {
  const [response] = (await once(get(url), 'response')) as [IncomingMessage];
  return response;
}

test('a reader that has stopped keeps the memory, and one that has read it all gives it back once', async () => {
  const { url, sent } = await serving();
  const response = await asked(url);
  await once(response, 'readable');
  await sleep(300);
  expect(sent()).toBe(0);

  response.resume();
  await once(response, 'end');
  await eventually('the memory is given back', () => sent() === 1);
});

test('a reader that leaves never gives it back: the kernel may be sending still', async () => {
  const { url, sent, ended } = await serving();
  const response = await asked(url);
  await once(response, 'readable');
  response.destroy();

  await eventually('the connection has ended', ended);
  await sleep(50);
  expect(sent()).toBe(0);
});
