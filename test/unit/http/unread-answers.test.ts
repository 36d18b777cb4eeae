import { expect, test } from '@jest/globals';
import { ManualClock } from '../../support/manual-clock.js';
import type { Exchange } from '../../../src/workers/http/exchange.js';
import { UnreadAnswers } from '../../../src/workers/http/unread-answers.js';

function anExchange(): { readonly exchange: Exchange; readonly socket: FakeSocket } {
  const socket = new FakeSocket();
  return { exchange: { req: { socket } } as unknown as Exchange, socket };
}

class FakeSocket {
  bytesWritten = 1_000_000;
  writableLength = 900_000;
  isDestroyed = false;
  destroy(): void {
    this.isDestroyed = true;
  }
}

test('a client that reads nothing is cut, one that reads slowly is not', async () => {
  const clock = new ManualClock();
  const unread = new UnreadAnswers(clock);
  const [stopped, slow, finished] = [anExchange(), anExchange(), anExchange()];
  for (const { exchange } of [stopped, slow, finished]) unread.answered(exchange);
  unread.settled(finished.exchange);

  for (let second = 0; second < 30; second += 1) {
    slow.socket.writableLength -= 1_000;
    await clock.advance(1_000);
  }

  expect([stopped, slow, finished].map(({ socket }) => socket.isDestroyed)).toEqual([true, false, false]);
});
