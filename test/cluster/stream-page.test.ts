import { afterEach, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { ChromiumPage, findChromium } from '../support/chromium-page.js';
import { startGateway, type GatewayProcess } from '../support/gateway-process.js';

/** Where to keep a picture for a person to look at; none is taken without it. */
const PICTURES = process.env['OPITIOS_SCREENSHOTS'];
const chromium = findChromium();
const withChromium = chromium === undefined ? test.skip : test;

let gateway: GatewayProcess | undefined;
let page: ChromiumPage | undefined;
afterEach(async () => {
  await page?.close();
  await gateway?.stop();
}, 60_000);

withChromium(
  'the stream page subscribes with a pasted token, shows quotes and order events, and asks nobody else',
  async () => {
    gateway = await startGateway({ accounts: 2, simulator: ['--ticks', '50'] });
    page = await ChromiumPage.open(chromium ?? '', { width: 1280, height: 1100 });
    await page.goTo(`${gateway.url}/api/v1/docs/stream`);
    const press = (selector: string, values: Readonly<Record<string, string>>): Promise<unknown> => {
      const filled = Object.entries(values).map(
        ([id, value]) => `document.getElementById('${id}').value = ${JSON.stringify(value)}`,
      );
      return (
        page?.evaluate(`${filled.join(';')}; document.querySelector(${JSON.stringify(selector)}).click()`) ??
        Promise.resolve()
      );
    };
    const stateIs = (text: string): string => `document.getElementById('state').textContent.includes('${text}')`;
    await press('#connect', { token: 'wrong' });
    await page.until(stateIs('check the token'));
    await press('#connect', { token: await gateway.token() });
    await page.until(stateIs('connected'));
    await press('button[value="subscribe"]', { 'channel-quotes': 'AAPL,MSFT', 'channel-orders': '*' });
    await page.until(`document.getElementById('subscribed').textContent.includes('quotes AAPL, MSFT')`);
    const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
    await gateway.post('/accounts/account_001/orders/stocks', order, { 'idempotency-key': 'stream-page' });
    const rowsWith = (type: string): string =>
      `[...document.querySelectorAll('#records tr')].some((row) => row.cells[1].textContent === '${type}')`;
    await page.until(rowsWith('quote'));
    // The table keeps the newest only: stopped when the order has come.
    await page.until(`(${rowsWith('order')}) && (document.getElementById('pause').click(), true)`);

    const { origin } = new URL(gateway.url);
    const foreign = page.requested.filter((url) => !url.startsWith(origin) && !url.startsWith('data:'));
    expect(foreign).toEqual([]);
    expect(page.requested.some((url) => url.includes('eyJ'))).toBe(false);
    if (PICTURES !== undefined) await page.screenshot(join(PICTURES, 'stream-page.png'));
  },
  90_000,
);
