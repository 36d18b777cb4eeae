import { afterEach, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { ChromiumPage, findChromium } from '../support/chromium-page.js';
import { startGateway, type GatewayProcess } from '../support/gateway-process.js';

/** Where to keep pictures for a person to look at; none are taken without it. */
const PICTURES = process.env['OPITIOS_SCREENSHOTS'];
const ACCOUNTS = Number(process.env['OPITIOS_SCREENSHOT_ACCOUNTS'] ?? 3);
const chromium = findChromium();
const withChromium = chromium === undefined ? test.skip : test;

let gateway: GatewayProcess | undefined;
let page: ChromiumPage | undefined;
afterEach(async () => {
  const [opened, started] = [page, gateway];
  [page, gateway] = [undefined, undefined];
  await opened?.close();
  await started?.stop();
}, 60_000);

/** WCAG 2.1 contrast of every element with text of its own against the nearest painted background. */
const LOW_CONTRAST = `(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('body *')]
    .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim() !== ''))
    .filter((node) => node.checkVisibility())
    .map((node) => {
      const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
      return [node.textContent.trim().slice(0, 40), (a + 0.05) / (b + 0.05)];
    })
    .filter(([, ratio]) => ratio < 4.5);
})()`;

withChromium(
  'the status page shows a degraded gateway to whoever has the token, asks nobody else, and can be read without colour',
  async () => {
    gateway = await startGateway({
      accounts: ACCOUNTS,
      editAccounts: ([first]) => {
        if (first !== undefined) first.secret_key = 'wrong';
      },
    });
    const { adminUrl } = gateway;
    page = await ChromiumPage.open(chromium ?? '', { width: 1280, height: 1400 });
    await page.goTo(`${adminUrl}/status`);
    const signIn = (token: string): Promise<unknown> =>
      page?.evaluate(
        `document.getElementById('token').value = ${JSON.stringify(token)}; document.querySelector('#sign-in button').click()`,
      ) ?? Promise.resolve();
    await signIn('wrong');
    await page.until(`document.getElementById('refusal').textContent.includes('not valid')`);
    await signIn(await gateway.token({ accounts: ['account_001'] }));
    await page.until(`document.getElementById('refusal').textContent.includes('every account')`);
    await signIn(await gateway.token());
    await page.until(`document.querySelector('#alerts tbody tr.trouble') !== null`);
    await page.until(`document.querySelectorAll('#accounts tbody tr').length === 1`);

    const text = await page.evaluate<string>('document.body.innerText');
    expect(text).toMatch(/Ready, 1 alert firing/);
    expect(text).toMatch(/account-failed\s+account_001/);
    expect(text).toMatch(/✗ failed/);
    expect(await page.evaluate(`document.querySelectorAll('#workers tbody tr').length`)).toBe(2);
    expect(
      await page.evaluate(`['header', 'main', 'footer'].map((name) => document.querySelectorAll(name).length)`),
    ).toEqual([1, 1, 1]);
    const bare = await page.evaluate(
      `[...document.querySelectorAll('table')].filter((one) => !one.caption || [...one.tHead.rows[0].cells].some((cell) => cell.scope !== 'col') || [...one.tBodies[0].rows].some((row) => row.cells[0].scope !== 'row')).length`,
    );
    expect(bare).toBe(0);
    expect(await page.evaluate(LOW_CONTRAST)).toEqual([]);
    expect(page.requested.filter((url) => !url.startsWith(`${adminUrl}/`))).toEqual([]);
    expect(page.said).toEqual([]);
    expect(page.requested.join()).not.toContain('eyJ');
    if (PICTURES !== undefined) await page.screenshot(join(PICTURES, `status-${ACCOUNTS}-accounts.png`));
  },
  90_000,
);

test('the page is bound to this door by its policy, and its data are for operators only', async () => {
  gateway = await startGateway({ accounts: 1, workers: 1 });
  for (const file of ['status', 'status.css', 'status.js']) {
    const response = await fetch(`${gateway.adminUrl}/${file}`);
    const policy = response.headers.get('content-security-policy') ?? '';
    expect([response.status, policy]).toEqual([200, expect.stringContaining("default-src 'none'")]);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(await response.text()).not.toMatch(/https?:\/\/|innerHTML|<style|style="| on\w+=/);
  }
  expect((await fetch(`${gateway.adminUrl}/status/data`)).status).toBe(401);
  const authorization = `Bearer ${await gateway.token({ permissions: ['read'] })}`;
  expect((await fetch(`${gateway.adminUrl}/status/data`, { headers: { authorization } })).status).toBe(403);
}, 60_000);
