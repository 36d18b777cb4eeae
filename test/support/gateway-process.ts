/** A whole gateway for tests: the simulator and the built primary (dist) with its workers, in a directory of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { signToken } from '../../src/kernel/auth/sign-token.js';
import type { Permission } from '../../src/kernel/domain/permissions.js';
import { startSimulatorProcess, type SimulatorProcess } from './simulator.js';
import { huntAlive, huntLeft, isCanaryMode, needlesOf } from './canary-mode.js';

export interface GatewayOptions {
  readonly accounts?: number;
  readonly workers?: number;
  /** Merged over the configuration, section by section, in the file's spelling. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Arguments of the simulator besides the number of accounts. */
  readonly simulator?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** A simulator that others use too: whoever started it closes it. */
  readonly venue?: SimulatorProcess;
  /** The token secret, where several gateways must know the same. */
  readonly secret?: string;
  /** Changes keys before the start: a bad key, for one. */
  readonly editAccounts?: (accounts: ConfiguredAccount[]) => void;
  /** Changes the finished configuration before it is written: seals its secrets, for one. */
  readonly editConfig?: (config: Record<string, unknown>) => void | Promise<void>;
}

export interface ConfiguredAccount {
  account_id: string;
  api_key: string;
  secret_key: string;
  paper_trading: boolean;
}

export interface TokenClaims {
  readonly subject?: string;
  readonly permissions?: readonly Permission[];
  readonly accounts?: '*' | readonly string[];
  readonly lifetimeS?: number;
}

export interface PoolWorker {
  readonly slot: number;
  readonly pid: number;
  readonly state: string;
  readonly accounts: Readonly<Record<string, number>>;
}

export interface Pool {
  readonly ready: boolean;
  readonly workers: readonly PoolWorker[];
  readonly accounts: readonly {
    readonly account_id: string;
    readonly state: string;
    readonly trading_state: string;
    readonly owner: number;
  }[];
  /** Only where several instances share the accounts. */
  readonly leases?: {
    readonly valid_for_ms: number;
    readonly last_renewed_age_ms: number | null;
    readonly members: readonly { readonly instance_id: string; readonly url: string; readonly slots: number }[];
    readonly slots: readonly { readonly slot: number; readonly epoch: number }[];
    readonly unowned_slots: number;
  };
}

export interface GatewayProcess {
  /** `http://127.0.0.1:PORT`, https with `server.tls`; the API is under `/api/v1`. */
  readonly url: string;
  readonly adminUrl: string;
  readonly simulator: SimulatorProcess;
  readonly accountIds: readonly string[];
  readonly primary: ChildProcess;
  /** When the primary was started, wall milliseconds. */
  readonly startedAt: number;
  readonly dir: string;
  readonly configFile: string;
  /** Standard output and error of all processes so far. */
  output(): string;
  /** By default everything for every account. */
  token(claims?: TokenClaims): Promise<string>;
  /** With a token over everything. */
  get(path: string): Promise<Response>;
  /** JSON, with the same token. */
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  pool(): Promise<Pool>;
  /** Sends a signal to the worker in a slot and returns its pid. */
  signalWorker(slot: number, signal: NodeJS.Signals): Promise<number>;
  /** Rewrites the configuration file; the gateway watches it. */
  rewriteConfig(edit: (config: Record<string, unknown>) => void): void;
  /** Drains gateway and simulator; the directory goes too. */
  stop(): Promise<void>;
}

const START_MS = 180_000;
const ALL: readonly Permission[] = ['market_data', 'read', 'trade', 'audit', 'admin'];

/** Build first: `node scripts/build.mjs`. */
export async function startGateway(options: GatewayOptions = {}): Promise<GatewayProcess> {
  const count = options.accounts ?? 4;
  const simulator =
    options.venue ?? (await startSimulatorProcess(['--accounts', String(count), ...(options.simulator ?? [])]));
  const closeVenue = (): Promise<void> => (options.venue === undefined ? simulator.close() : Promise.resolve());
  const dir = mkdtempSync(join(tmpdir(), 'opitios-gateway-'));
  const configFile = join(dir, 'opitios.yaml');
  const secret = options.secret ?? randomBytes(32).toString('hex');
  const accounts = simulator.accounts.map(({ accountId, apiKey, secretKey }): ConfiguredAccount => ({
    account_id: accountId,
    api_key: apiKey,
    secret_key: secretKey,
    paper_trading: true,
  }));
  options.editAccounts?.(accounts);
  const config = mergeSections(baseConfig(simulator, secret, options.workers ?? 2), options.config ?? {});
  // JSON is YAML.
  const write = (value: object): void =>
    writeFileSync(configFile, JSON.stringify(value, undefined, 2), { mode: 0o600 });
  const whole: Record<string, unknown> = { ...config, trading_accounts: accounts };
  if (isCanaryMode) whole['log'] = { level: 'trace' };
  // Before anybody seals or spoils them.
  const needles = needlesOf(secret, accounts);
  await options.editConfig?.(whole);
  write(whole);
  const startedAt = Date.now();
  const primary = startPrimaryProcess(configFile, options.environment);
  const chunks: string[] = [];
  for (const stream of [primary.stdout, primary.stderr])
    stream?.on('data', (chunk: Buffer) => chunks.push(String(chunk)));
  const output = (): string => chunks.join('');
  let ports: { readonly port: number; readonly adminPort: number };
  try {
    ports = await readyPorts(primary, output);
  } catch (cause) {
    await stopProcess(primary);
    await closeVenue();
    rmSync(dir, { recursive: true, force: true });
    throw cause;
  }
  const isTls = (whole['server'] as { tls?: unknown }).tls !== undefined;
  const url = `${isTls ? 'https' : 'http'}://127.0.0.1:${ports.port}`;
  const adminUrl = `http://127.0.0.1:${ports.adminPort}`;
  const token = (claims: TokenClaims = {}): Promise<string> =>
    signToken({
      secret,
      subject: claims.subject ?? 'tester',
      permissions: claims.permissions ?? ALL,
      accounts: claims.accounts ?? '*',
      issuedAtS: Date.now() / 1_000,
      lifetimeS: claims.lifetimeS ?? 3_600,
      tokenId: randomUUID(),
    });
  const authorization = `Bearer ${await token()}`;
  const pool = async (): Promise<Pool> =>
    (await (await fetch(`${adminUrl}/pool`, { headers: { authorization } })).json()) as Pool;
  return {
    ...{ url, adminUrl, simulator, primary, startedAt, dir, configFile, output, token, pool },
    accountIds: accounts.map(({ account_id }) => account_id),
    ...callsTo(url, authorization),
    signalWorker: async (slot, signal) => {
      const worker = (await pool()).workers.find((one) => one.slot === slot);
      if (worker === undefined) throw new TypeError(`no worker in slot ${slot}`);
      process.kill(worker.pid, signal);
      return worker.pid;
    },
    rewriteConfig: (edit) => {
      const value = JSON.parse(readFileSync(configFile, 'utf8')) as Record<string, unknown>;
      edit(value);
      write(value);
    },
    stop: async () => {
      const suspect = { pid: primary.pid, adminUrl, dir, output, needles };
      const hits = isCanaryMode ? [...(await huntAlive(suspect))] : [];
      await stopProcess(primary);
      await closeVenue();
      if (isCanaryMode) hits.push(...huntLeft(suspect));
      rmSync(dir, { recursive: true, force: true });
      if (hits.length > 0) throw new TypeError(`secrets were found: ${hits.slice(0, 10).join('; ')}`);
    },
  };
}

/** Requests of one caller to the API behind an address. */
export function callsTo(url: string, authorization: string): Pick<GatewayProcess, 'get' | 'post'> {
  return {
    get: (path) => fetch(`${url}/api/v1${path}`, { headers: { authorization } }),
    post: (path, body, headers = {}) =>
      fetch(`${url}/api/v1${path}`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
  };
}

/** dist/primary/main.js with its output piped. */
export function startPrimaryProcess(
  configFile: string,
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  const program = new URL('../../dist/primary/main.js', import.meta.url).pathname;
  return spawn(process.execPath, [program, '--config', configFile], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_ENV: 'test', ...environment },
  });
}

export interface Restarted {
  readonly primary: ChildProcess;
  readonly url: string;
  readonly adminUrl: string;
  output(): string;
  /** Drains it. */
  stop(): Promise<void>;
}

/** Another primary on the same configuration and data, after the first one has ended. */
export async function restartGateway(
  gateway: GatewayProcess,
  environment: Readonly<Record<string, string>> = {},
): Promise<Restarted> {
  const primary = startPrimaryProcess(gateway.configFile, environment);
  const chunks: string[] = [];
  for (const stream of [primary.stdout, primary.stderr])
    stream?.on('data', (chunk: Buffer) => chunks.push(String(chunk)));
  const output = (): string => chunks.join('');
  const stop = (): Promise<void> => stopProcess(primary);
  try {
    const { port, adminPort } = await readyPorts(primary, output);
    const adminUrl = `http://127.0.0.1:${adminPort}`;
    return { primary, url: `http://127.0.0.1:${port}`, adminUrl, output, stop };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

/** Waits until it holds, with a generous deadline. */
export async function eventually(
  holds: () => Promise<boolean> | boolean,
  what: string,
  withinMs = 30_000,
): Promise<void> {
  const end = Date.now() + withinMs;
  while (Date.now() < end) {
    if (await holds()) return;
    await sleep(20);
  }
  throw new TypeError(`did not happen within ${withinMs} ms: ${what}`);
}

function baseConfig(simulator: SimulatorProcess, secret: string, workers: number): Record<string, unknown> {
  const { endpoints, master } = simulator;
  return {
    server: { host: '127.0.0.1', port: 0, require_https: false },
    admin: { host: '127.0.0.1', port: 0 },
    // A fork and a rehearsal for each gateway that no test kills a worker of would cost more than the tests.
    cluster: { workers, threads: 1, warm_spare: false },
    auth: { algorithms: ['HS256'], secret },
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
    master_account: { api_key: master.apiKey, secret_key: master.secretKey, paper_trading: true },
  };
}

function mergeSections(
  base: Record<string, unknown>,
  over: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const isSection = typeof value === 'object' && value !== null && !Array.isArray(value);
    merged[name] = isSection ? { ...(base[name] as object | undefined), ...value } : value;
  }
  return merged;
}

async function readyPorts(
  primary: ChildProcess,
  output: () => string,
): Promise<{ readonly port: number; readonly adminPort: number }> {
  const end = Date.now() + START_MS;
  while (Date.now() < end) {
    const line = output()
      .split('\n')
      .find((text) => text.includes('"msg":"ready"'));
    if (line !== undefined) return JSON.parse(line) as { readonly port: number; readonly adminPort: number };
    if (primary.exitCode !== null || primary.signalCode !== null) break;
    await sleep(20);
  }
  throw new TypeError(`the gateway did not start:\n${output().slice(-4_000)}`);
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await ended;
  clearTimeout(timer);
}
