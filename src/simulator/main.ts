/** The simulator as a program: prints one JSON line with its addresses and runs until it is told to stop. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { AAPL_CHAIN, SPY_CHAIN } from './market/contracts.js';
import { startSimulator, type SimulatorOptions } from './simulator.js';

const USAGE = `Usage: node dist/simulator/main.js [--accounts 100] [--port 0] [--control-port 0] [--host 127.0.0.1] [--seed 1]
  [--symbols N] [--options AAPL,SPY] [--ticks PER_SECOND] [--rate REQUESTS_PER_MINUTE] [--data-rate PER_MINUTE]
  [--cash DOLLARS] [--fills auto|instant|manual] [--partial PROBABILITY] [--ledger full|count] [--frames binary|text]
  [--plan basic|plus]      what the data plan of every key allows
  [--accounts-file FILE]   writes {"accounts":[{accountId,apiKey,secretKey}],"master":{…}} with mode 0600
  [--print-accounts]       the same inside the JSON line
  [--end-with-parent]      ends when the channel to the process that forked it closes`;

const { values } = parseArgs({
  options: {
    accounts: { type: 'string' },
    port: { type: 'string' },
    'control-port': { type: 'string' },
    host: { type: 'string' },
    seed: { type: 'string' },
    symbols: { type: 'string' },
    options: { type: 'string' },
    ticks: { type: 'string' },
    rate: { type: 'string' },
    'data-rate': { type: 'string' },
    cash: { type: 'string' },
    fills: { type: 'string' },
    partial: { type: 'string' },
    ledger: { type: 'string' },
    frames: { type: 'string' },
    plan: { type: 'string' },
    'accounts-file': { type: 'string' },
    'print-accounts': { type: 'boolean' },
    'end-with-parent': { type: 'boolean' },
    help: { type: 'boolean' },
  },
});

if (values.help === true) {
  console.log(USAGE);
} else {
  await run();
}

async function run(): Promise<void> {
  if (values['end-with-parent'] === true) process.on('disconnect', () => process.exit(1));
  const simulator = await startSimulator(readOptions());
  const { accounts, master } = simulator;
  const file = values['accounts-file'];
  if (file !== undefined) writeFileSync(file, JSON.stringify({ accounts, master }, undefined, 2), { mode: 0o600 });
  console.log(
    JSON.stringify({
      url: simulator.url,
      controlUrl: simulator.controlUrl,
      endpoints: simulator.endpoints,
      ...(values['print-accounts'] === true ? { accounts, master } : {}),
    }),
  );
  const stop = (): void => {
    void simulator.close().then(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

function readOptions(): SimulatorOptions {
  const chains = (values.options ?? '').split(',').flatMap((name) => {
    if (name === 'AAPL') return [AAPL_CHAIN];
    return name === 'SPY' ? [SPY_CHAIN] : [];
  });
  const numbers = {
    accounts: number('accounts'),
    port: number('port'),
    controlPort: number('control-port'),
    seed: number('seed'),
    symbols: number('symbols'),
    ticksPerSecond: number('ticks'),
    requestsPerMinute: number('rate'),
    dataRequestsPerMinute: number('data-rate'),
  };
  const given = Object.entries(numbers).filter(([, value]) => value !== undefined);
  const partial = number('partial');
  return {
    ...(Object.fromEntries(given) as SimulatorOptions),
    ...(values.plan === 'plus' && { marketFaults: { plan: 'plus' as const } }),
    ...(values.host === undefined ? {} : { host: values.host }),
    ...(values.cash === undefined ? {} : { startingCash: values.cash }),
    ...(values.frames === 'text' ? { frames: 'text' } : {}),
    ...(values.ledger === 'count' ? { ledger: { mode: 'count' } } : {}),
    behaviour: {
      ...(values.fills === 'instant' || values.fills === 'manual' ? { fills: values.fills } : {}),
      ...(partial === undefined ? {} : { partialFillProbability: partial }),
    },
    ...(chains.length === 0 ? {} : { optionUnderlyings: chains }),
  };
}

/** Refuses what is not a number: a typo must not silently become a default. */
function number(name: keyof typeof values): number | undefined {
  const text = values[name];
  if (typeof text !== 'string') return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) {
    console.error(`--${name} wants a number\n${USAGE}`);
    process.exit(2);
  }
  return value;
}
