import { expect, test } from '@jest/globals';
import { silentLog, type Log } from '../../../src/kernel/runtime/log.js';
import { silentMeter } from '../../../src/kernel/runtime/meter.js';
import type { AlertChange } from '../../../src/primary/notifications/alert-board.js';
import { Webhook } from '../../../src/primary/notifications/webhook.js';
import { ManualClock } from '../../support/manual-clock.js';

interface Fixture {
  readonly clock: ManualClock;
  readonly hook: Webhook;
  readonly bodies: { readonly event: string; readonly condition: string; readonly count: number }[];
  readonly errors: unknown[];
  status: number;
}

function aWebhook(shape: 'json' | 'slack' = 'json'): Fixture {
  const clock = new ManualClock();
  const errors: unknown[] = [];
  const log: Log = { ...silentLog, error: (fields) => void errors.push(fields) };
  const bodies: Fixture['bodies'] = [];
  const fixture = {} as Fixture;
  const fetch = ((_url: string, options: { body: string }) => {
    bodies.push(JSON.parse(options.body) as Fixture['bodies'][number]);
    return Promise.resolve(new Response('', { status: fixture.status }));
  }) as unknown as typeof globalThis.fetch;
  const config = { url: 'https://hooks.example/secret-path', shape };
  const hook = new Webhook(config, 'desk-1', { clock, log, meter: silentMeter, fetch });
  return Object.assign(fixture, { clock, hook, bodies, errors, status: 200 });
}

function change(
  event: 'firing' | 'resolved',
  subject = 'a',
  condition: AlertChange['condition'] = 'account-failed',
): AlertChange {
  const alert = { condition, subject, detail: '<refused> & "more"', since: 0 };
  return { event, condition, alerts: [event === 'resolved' ? { ...alert, resolvedAt: 1_000 } : alert] };
}
/** Lets what is under way go on: each post is a few turns of the loop. */
const settle = (clock: ManualClock): Promise<void> => clock.advance(0);

test('an alert and its end are posted with what a receiver needs', async () => {
  const { clock, hook, bodies } = aWebhook();
  hook.tell([change('firing')]);
  await settle(clock);
  hook.tell([change('resolved')]);
  await settle(clock);

  expect(bodies).toMatchObject([
    {
      event: 'firing',
      condition: 'account-failed',
      severity: 'critical',
      instance: 'desk-1',
      count: 1,
      alerts: [{ subject: 'a' }],
    },
    {
      event: 'resolved',
      condition: 'account-failed',
      alerts: [{ subject: 'a', resolved_at: '1970-01-01T00:00:01.000Z' }],
    },
  ]);
});

test('a Slack message escapes what its markup would take for itself', async () => {
  const { clock, hook, bodies } = aWebhook('slack');
  hook.tell([change('firing')]);
  await settle(clock);

  expect(bodies).toEqual([
    { text: 'FIRING account-failed (desk-1): The broker refuses accounts\n• a: &lt;refused&gt; &amp; "more"' },
  ]);
});

test('more than ten messages a minute wait and are merged; what ended unheard is not told', async () => {
  const { clock, hook, bodies } = aWebhook();
  for (let turn = 0; turn < 10; turn += 1) {
    hook.tell([change(turn % 2 === 0 ? 'firing' : 'resolved')]);
    await settle(clock);
  }
  expect(bodies).toHaveLength(10);

  hook.tell([change('firing', 'b'), change('firing', 'c')]);
  hook.tell([change('resolved', 'b')]);
  hook.tell([change('firing', 'd', 'clock-drift')]);
  await settle(clock);
  expect(bodies).toHaveLength(10);
  await clock.advance(60_000);

  const late = bodies.slice(10);
  expect(late.map(({ event, condition, count }) => `${event} ${condition} ${count}`)).toEqual([
    'firing account-failed 1',
    'firing clock-drift 1',
  ]);
  expect(late[0]).toMatchObject({ alerts: [{ subject: 'c' }] });
});

test('a receiver that is away is tried four times, and the loss is logged without its address', async () => {
  const fixture = aWebhook();
  fixture.status = 503;
  fixture.hook.tell([change('firing')]);
  await fixture.clock.advance(30_000);

  expect(fixture.bodies).toHaveLength(4);
  expect(fixture.errors).toEqual([
    { to: 'https://hooks.example', event: 'firing', condition: 'account-failed', why: 'status 503' },
  ]);
});

test('a receiver that comes back gets it', async () => {
  const fixture = aWebhook();
  fixture.status = 503;
  fixture.hook.tell([change('firing')]);
  await settle(fixture.clock);
  fixture.status = 200;
  await fixture.clock.advance(1_000);

  expect([fixture.bodies.length, fixture.errors.length]).toEqual([2, 0]);
});
