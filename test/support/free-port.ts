/** Ports for programs that cannot be told to take any free one and say which. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Linux gives connections, and servers that take any port, ports from 32768 upward: none of those may come between. */
const RANGE = { from: 12_000, to: 32_000 };

/** One that nobody has now, on any address. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(RANGE.from, RANGE.to);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '0.0.0.0', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
