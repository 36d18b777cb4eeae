/**
 * Programs of the exposure model against real processes. `npm run sim:exposure -- --http --programs 50 [--from N]` runs
 * more of them; the short form is part of `npm test`.
 */
import { expect, test } from '@jest/globals';
import { runOverHttp } from '../../support/exposure-over-http.js';

const PROGRAMS = Number(process.env['OPITIOS_HTTP_PROGRAMS'] ?? 2);
const FROM = Number(process.env['OPITIOS_FROM'] ?? 8);

test(
  'programs over real HTTP: no position goes short under no_short, no limit is exceeded, no answer is untrue',
  async () => {
    const seeds = Array.from({ length: PROGRAMS }, (_, n) => FROM + n);

    const verdicts = await runOverHttp(seeds);

    const orders = verdicts.reduce((sum, one) => sum + one.orders, 0);
    console.info(`programs ${FROM} to ${FROM + PROGRAMS - 1} over HTTP: ${orders} orders`);
    expect(verdicts.filter(({ wrong }) => wrong.length > 0)).toEqual([]);
    expect(orders).toBeGreaterThan(0);
  },
  300_000 + PROGRAMS * 2_000,
);
