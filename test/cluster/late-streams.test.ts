/** An account trades before its stream is heard: what happens to its very first order meanwhile is told when the stream comes. */
import { afterEach, expect, test } from '@jest/globals';
import { trailOf } from '../support/audit-trail.js';
import { eventually, startGateway, type GatewayProcess } from '../support/gateway-process.js';
import { startSimulatorProcess } from '../support/simulator.js';

let gateway: GatewayProcess | undefined;
afterEach(() => gateway?.stop(), 60_000);

test('the fill of a first order that no stream has heard is in the trail when the stream is there', async () => {
  const venue = await startSimulatorProcess(['--accounts', '1']);
  try {
    await venue.control.switchOn({ fault: { kind: 'stream-auth', answer: 'close' }, path: '/stream' });
    gateway = await startGateway({ venue, accounts: 1, workers: 1 });
    const running = gateway;
    const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
    const placed = await running.post(`/accounts/${running.accountIds[0] ?? ''}/orders/stocks`, order);
    expect(placed.status).toBe(201);
    await eventually(async () => (await venue.control.executions()).length === 1, 'the order is filled');
    const [execution] = await venue.control.executions();
    // The activity that shows it names no execution.
    const isAudited = (): boolean =>
      trailOf(running)
        .split('\n')
        .some((line) => line.includes('"kind":"fill"') && line.includes(execution?.orderId ?? 'none'));
    expect(isAudited()).toBe(false);

    await venue.control.switchOff();

    await eventually(isAudited, 'the fill is in the trail', 30_000);
  } finally {
    await gateway?.stop();
    gateway = undefined;
    await venue.close();
  }
}, 120_000);
