import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { PROBLEMS } from '../../../src/kernel/domain/problem.js';
import { apiDocument } from '../../../src/workers/http/api-document.js';
import { routeTable } from '../../../src/workers/http/routes/table.js';
import { CLOSE_CODES, STREAM_ERRORS } from '../../../src/workers/streams/stream-codes.js';

const routes = routeTable({ exposeMetrics: true, asyncApi: true });

test('docs/api.md lists the routes and the codes as they are (npm run docs)', async () => {
  const made = apiDocument(routes, { errors: STREAM_ERRORS, closeCodes: CLOSE_CODES });

  expect(await readFile('docs/api.md', 'utf8')).toBe(made);
});

test('the document names every route, problem code and stream code', async () => {
  const text = await readFile('docs/api.md', 'utf8');
  const names = [
    ...routes.map(({ method, template }) => `${method} ${template}`),
    ...Object.keys(PROBLEMS),
    ...Object.keys(STREAM_ERRORS),
    ...Object.values(CLOSE_CODES).map(String),
  ];

  expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});
