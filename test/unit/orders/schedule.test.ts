import { expect, test } from '@jest/globals';
import { watchForMs } from '../../../src/workers/orders/core/schedule.js';

test.each([
  ['on a Monday', '2026-01-05T15:00:00Z', '2026-01-08T01:00:00.000Z'],
  ['on a Friday before a long weekend', '2026-01-16T20:00:00Z', '2026-01-21T01:00:00.000Z'],
  ['on the Thursday before Good Friday', '2026-04-02T19:00:00Z', '2026-04-07T01:00:00.000Z'],
  ['on a Sunday, of a pair', '2026-01-11T15:00:00Z', '2026-01-14T01:00:00.000Z'],
  ['on a Friday evening in New York, a Saturday in UTC', '2026-01-10T02:00:00Z', '2026-01-14T01:00:00.000Z'],
])('an order given up %s is watched until the next trading day has ended', (_, recorded, until) => {
  const at = Date.parse(recorded);

  expect(new Date(at + watchForMs(at)).toISOString()).toBe(until);
});
