/** A connection is let in by the token that it sent before: whatever ends the token ends that, and another token is another caller. */
import http from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import { GatewayError } from '../../../src/kernel/domain/errors.js';
import type { Permission, Principal } from '../../../src/kernel/domain/permissions.js';
import { EdgeFixture } from '../../support/http-edge-fixture.js';

const QUOTE = '/api/v1/stocks/quote/AAPL';
const ANSWER = {
  kind: 'answer',
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: Buffer.from('{}'),
};

/** Knows tokens by name until they are revoked, and counts how often it was given one. */
class NamedTokens {
  readonly revoked = new Set<string>();
  readonly #principals = new Map<string, Principal>();
  seen = 0;

  constructor(permissions: Readonly<Record<string, readonly Permission[]>>) {
    for (const [subject, granted] of Object.entries(permissions)) {
      const principal = { subject, tokenId: undefined, permissions: new Set(granted), expiresAt: 4e9 };
      this.#principals.set(`aa.${subject}.cc`, { ...principal, accounts: '*' });
    }
  }

  known(token: string): Principal | undefined {
    this.seen += 1;
    const principal = this.#principals.get(token);
    return principal !== undefined && this.stillKnown(principal) ? principal : undefined;
  }

  verify(): Promise<Principal> {
    return Promise.reject(new GatewayError('TOKEN_INVALID'));
  }

  stillKnown(principal: Principal): boolean {
    return !this.revoked.has(principal.subject);
  }

  stillValid(principal: Principal): boolean {
    return this.stillKnown(principal);
  }
}

let edge: EdgeFixture;
let agent: http.Agent;

afterEach(async () => {
  agent.destroy();
  await edge.stop();
});

async function startWith(verifier: NamedTokens): Promise<void> {
  edge = await new EdgeFixture({ more: { verifier } }).start();
  edge.quoteNowAnswer = ANSWER as EdgeFixture['quoteNowAnswer'];
  agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
}

/** One connection for all. */
function ask(subject: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer aa.${subject}.cc` };
    const request = http.get({ host: '127.0.0.1', port: edge.port, path: QUOTE, agent, headers }, (response) => {
      response.resume().on('end', () => {
        resolve(response.statusCode);
      });
    });
    request.on('error', reject);
  });
}

test('a token sent again on its connection is not looked up again, and revoked it opens nothing', async () => {
  const tokens = new NamedTokens({ one: ['market_data'] });
  await startWith(tokens);

  const before = [await ask('one'), await ask('one'), await ask('one')];
  const lookedUp = tokens.seen;
  tokens.revoked.add('one');
  const after = await ask('one');

  expect([...before, after]).toEqual([200, 200, 200, 401]);
  expect(lookedUp).toBe(1);
});

test('on one connection each token has its own permissions, whichever came before', async () => {
  await startWith(new NamedTokens({ one: ['market_data'], two: ['read'] }));

  expect([await ask('one'), await ask('two'), await ask('one'), await ask('none'), await ask('two')]).toEqual([
    ...[200, 403, 200, 401, 403],
  ]);
  expect(edge.logLines.map((line) => line['subject'])).toEqual(['one', 'two', 'one', undefined, 'two']);
});
