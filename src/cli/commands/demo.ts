/**
 * `opitios demo`: a simulated broker and the gateway on it, in a temporary directory with secrets made now. Needs no key of
 * anybody and leaves nothing behind: no process, no file.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PERMISSIONS } from '../../kernel/domain/permissions.js';
import { CommandFailure, EXIT } from '../failures.js';
import { freePort, portProblem } from '../ports.js';
import { openSession } from '../session.js';
import { say, warn } from '../terminal.js';
import { Program } from '../program.js';
import { localToken } from './token.js';

export interface DemoOptions {
  readonly accounts: string;
  readonly port: string;
  readonly workers?: string;
}

const HOST = '127.0.0.1';
const LEFTOVER = 'opitios-demo-';
const READY_DEADLINE_MS = 300_000;
const TOKEN_LIFETIME_S = 86_400;

interface SimulatorLine {
  readonly endpoints: {
    readonly trading: string;
    readonly data: string;
    readonly streamTrading: string;
    readonly streamData: string;
  };
}

interface SimulatedKeys {
  readonly apiKey: string;
  readonly secretKey: string;
}

export async function demo(options: DemoOptions): Promise<void> {
  const accounts = number('--accounts', options.accounts, 1, 5000);
  const port = number('--port', options.port, 1, 65_535);
  const workers = options.workers === undefined ? 2 : number('--workers', options.workers, 1, 64);
  const problem = await portProblem(HOST, port);
  if (problem !== undefined) throw new CommandFailure(`${problem}: choose another with --port`);
  await sweepLeftovers();
  const directory = await mkdtemp(join(tmpdir(), `${LEFTOVER}${process.pid}-`));
  const programs: Program[] = [];
  const stopped = new Promise<void>((resolve) => {
    process.on('SIGINT', resolve);
    process.on('SIGTERM', resolve);
    process.on('SIGHUP', resolve);
  });
  try {
    const state = { stopping: false };
    const end = stopped.then(() => (state.stopping = true));
    await Promise.race([start({ directory, accounts, port, workers, programs }), end]);
    if (!state.stopping) await Promise.race([...programs.map(fallen), end]);
  } finally {
    // The gateway first: it drains against a broker that still answers.
    for (const program of programs.reverse()) await program.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** What a demo that was killed could not remove. */
async function sweepLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = name.startsWith(LEFTOVER) ? /^\d+/.exec(name.slice(LEFTOVER.length))?.[0] : undefined;
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}

interface DemoRun {
  readonly directory: string;
  readonly accounts: number;
  readonly port: number;
  readonly workers: number;
  readonly programs: Program[];
}

/** Resolves when the gateway is ready and its address is printed. */
async function start({ directory, accounts, port, workers, programs }: DemoRun): Promise<void> {
  warn(`starting a simulated broker with ${accounts} accounts and the gateway on it …`);
  const keysFile = join(directory, 'simulator-accounts.json');
  const simulatorOutput = join(directory, 'simulator.log');
  const simulator = new Program(
    'simulator/main.js',
    [
      ...['--accounts', String(accounts), '--port', '0', '--host', HOST, '--accounts-file', keysFile],
      // A market that moves, with an option chain of a realistic size.
      ...['--ticks', '50', '--options', 'AAPL'],
    ],
    simulatorOutput,
  );
  programs.push(simulator);
  const { endpoints } = await firstLine(simulator);
  const keys = JSON.parse(await readFile(keysFile, 'utf8')) as {
    readonly accounts: readonly (SimulatedKeys & { readonly accountId: string })[];
    readonly master: SimulatedKeys;
  };
  const file = join(directory, 'opitios.yaml');
  // JSON is YAML, and quotes everything.
  const adminPort = await freePort(HOST);
  const config = demoConfig({ endpoints, keys, port, adminPort, workers });
  await writeFile(file, JSON.stringify(config, undefined, 2), { mode: 0o600 });
  const gateway = new Program('primary/main.js', ['--config', file], join(directory, 'gateway.log'));
  programs.push(gateway);
  const ready = AbortSignal.timeout(READY_DEADLINE_MS);
  await Promise.race([gateway.says('ready'), fallen(gateway), expiry(ready)]);
  await printWelcome(file, port, keys.accounts[0]?.accountId ?? 'account_001');
}

function demoConfig({
  endpoints,
  keys,
  port,
  adminPort,
  workers,
}: {
  readonly endpoints: SimulatorLine['endpoints'];
  readonly keys: {
    readonly accounts: readonly (SimulatedKeys & { readonly accountId: string })[];
    readonly master: SimulatedKeys;
  };
  readonly port: number;
  readonly adminPort: number;
  readonly workers: number;
}): unknown {
  const credentials = ({ apiKey, secretKey }: SimulatedKeys): Record<string, unknown> => ({
    api_key: apiKey,
    secret_key: secretKey,
    paper_trading: true,
  });
  return {
    server: { host: HOST, port, require_https: false },
    admin: { host: HOST, port: adminPort },
    cluster: { workers },
    auth: { secret: randomBytes(32).toString('hex') },
    secrets: { allow_plain_text: true },
    alpaca: {
      endpoints: {
        trading_paper: endpoints.trading,
        trading_live: endpoints.trading,
        data: endpoints.data,
        stream_trading_paper: endpoints.streamTrading,
        stream_trading_live: endpoints.streamTrading,
        stream_data: endpoints.streamData,
      },
    },
    data_dir: './data',
    master_account: credentials(keys.master),
    trading_accounts: keys.accounts.map((account) => ({ account_id: account.accountId, ...credentials(account) })),
  };
}

async function printWelcome(file: string, port: number, accountId: string): Promise<void> {
  const session = await openSession({ config: file });
  const token = await localToken(session, {
    subject: 'demo',
    permissions: PERMISSIONS,
    accounts: '*',
    lifetimeS: TOKEN_LIFETIME_S,
  });
  const base = `http://${HOST}:${port}/api/v1`;
  const authorization = `-H 'Authorization: Bearer ${token}'`;
  const order = JSON.stringify({ symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' });
  say(`The gateway is ready.

  address  ${base}
  docs     ${base}/docs
  status   http://${HOST}:${session.config.admin.port}/status (asks for the token)
  token    ${token}

Try:

  curl -s ${authorization} ${base}/stocks/quote/AAPL

  curl -s ${authorization} ${base}/accounts/${accountId}/positions

  curl -s ${authorization} -H 'Content-Type: application/json' -H 'Idempotency-Key: demo-1' -d '${order}' ${base}/accounts/${accountId}/orders/stocks

Ctrl-C ends everything.`);
}

/** The simulator prints one line of JSON when it listens. */
async function firstLine(simulator: Program): Promise<SimulatorLine> {
  const deadline = AbortSignal.timeout(READY_DEADLINE_MS);
  const line = async (): Promise<string> => {
    for (;;) {
      const text = await readFile(simulator.outputFile, 'utf8');
      const [first = ''] = text.split('\n');
      if (text.includes('\n') && first.startsWith('{')) return first;
      await new Promise((resolve) => setTimeout(resolve, 50));
      deadline.throwIfAborted();
    }
  };
  return JSON.parse(await Promise.race([line(), fallen(simulator)])) as SimulatorLine;
}

/** Rejects when a program ends by itself, with the last that it wrote. */
async function fallen(program: Program): Promise<never> {
  const how = await program.ended;
  const output = await readFile(program.outputFile, 'utf8').catch(() => '');
  const last = output.trimEnd().split('\n').slice(-10).join('\n');
  throw new CommandFailure(`a program of the demo ended by itself (${how})${last === '' ? '' : `:\n${last}`}`);
}

function expiry(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(new CommandFailure(`the gateway was not ready within ${READY_DEADLINE_MS / 1000} s`));
    });
  });
}

function number(name: string, text: string, min: number, max: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new CommandFailure(`${name}: a whole number from ${min} to ${max}`, EXIT.invalid);
}
