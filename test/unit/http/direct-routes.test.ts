import { expect, test } from '@jest/globals';
import { DirectRoutes } from '../../../src/workers/http/direct-routes.js';
import type { Exchange } from '../../../src/workers/http/exchange.js';

const TEMPLATE = '/api/v1/stocks/quote/{symbol}';

function asked(method: string, url: string, template = TEMPLATE): readonly Readonly<Record<string, string>>[] {
  const routes = new DirectRoutes();
  const paths: Readonly<Record<string, string>>[] = [];
  routes.add(template, (_exchange, path) => paths.push(path));
  const isServed = routes.serve({ req: { method, url } } as unknown as Exchange);
  expect(isServed).toBe(paths.length === 1);
  return paths;
}

test.each(['AAPL', 'BRK.B', 'aapl', 'A-_~.'])('an address that ends in %s is served at once', (symbol) => {
  expect(asked('GET', `/api/v1/stocks/quote/${symbol}`)).toEqual([{ symbol }]);
});

test.each([
  ['HEAD', '/api/v1/stocks/quote/AAPL'],
  ['POST', '/api/v1/stocks/quote/AAPL'],
  ['GET', '/api/v1/stocks/quote/AAPL?feed=sip'],
  ['GET', '/api/v1/stocks/quote/AAPL?'],
  ['GET', '/api/v1/stocks/quote/AAPL/'],
  ['GET', '/api/v1/stocks/quote/AAPL/more'],
  ['GET', '/api/v1/stocks/quote/'],
  ['GET', '/api/v1/stocks/quote'],
  ['GET', '/api/v1/stocks/quote/AA%50L'],
  ['GET', '/api/v1/stocks/quote/AAPL#x'],
  ['GET', '/API/v1/stocks/quote/AAPL'],
  ['GET', '/api/v1/stocks/quote/A\u00c4'],
])('%s %s is left to Express', (method, url) => {
  expect(asked(method, url)).toEqual([]);
});

test('a template of another shape is never served at once', () => {
  expect(asked('GET', '/api/v1/clock', '/api/v1/clock')).toEqual([]);
  expect(asked('GET', '/a/b/c', '/a/{one}/{two}')).toEqual([]);
});
