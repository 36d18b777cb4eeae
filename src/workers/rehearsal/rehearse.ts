/**
 * A spare worker runs through its whole life once before it is needed: built from the same parts in directories of its own, it
 * opens an account at a broker on its own stage, takes an order at its own door and drains. Half of what a worker needs
 * before it trades is code that runs for the first time; here it runs while nobody waits for it.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { signToken } from '../../kernel/auth/sign-token.js';
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import { GatewayError } from '../../kernel/domain/errors.js';
import { parseAccountId } from '../../kernel/domain/identifiers.js';
import { tableDirectory } from '../../kernel/shared-memory/table-directory.js';
import { WorkerParts, type StartMessage, type WorkerEnvironment } from '../compose/worker.js';
import { StageBroker } from './stage-broker.js';

const ACCOUNT = parseAccountId('rehearsal');
const ASSIGNMENT = { accountId: ACCOUNT, slot: 0, epoch: 1 };
const PRICE = { type: 'limit', limit_price: '1', time_in_force: 'day' };
const ORDER = JSON.stringify({ symbol: 'REHEARSAL', qty: '1', side: 'buy', ...PRICE });
const DRAIN_MS = 2_000;
/** The journal wants so much free. */
const ROOM_MB = 32;
/** The path of a Unix socket in it is 107 bytes at most. */
const DIRECTORY_BYTES_MAX = 80;

/** Nothing of it stays. An abort ends it at its next step: whoever is needed stops to rehearse. */
export async function rehearse(config: GatewayConfig, env: WorkerEnvironment, signal: AbortSignal): Promise<void> {
  // Named as a quote table of this boot is: whoever removes those removes what a killed spare leaves.
  const { sharedMemoryDir: base } = config.marketData;
  const place = { base, instanceId: `rehearsal-${process.pid}`, bootPid: process.ppid, sizeMb: ROOM_MB };
  const dir = tableDirectory(place);
  if (Buffer.byteLength(dir) > DIRECTORY_BYTES_MAX) throw new GatewayError('SHARED_MEMORY_BROKEN', { directory: dir });
  const isNeeded = (): boolean => signal.aborted;
  const secret = randomBytes(32).toString('hex');
  const broker = new StageBroker(env.clock, secret);
  let parts: WorkerParts | undefined;
  try {
    const staged = stagedConfig(config, { dir, secret, port: await broker.open() });
    if (isNeeded()) return;
    parts = await WorkerParts.build(startOf(staged, dir, secret), env);
    const door = join(dir, 'd');
    if (!isNeeded()) await parts.open({ path: door });
    const token = await tokenFor(staged, secret, env);
    for (const body of [ORDER, undefined]) if (!isNeeded()) await ask(door, token, body);
  } finally {
    await parts?.drain(DRAIN_MS);
    await broker.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

interface Stage {
  readonly dir: string;
  readonly secret: string;
  readonly port: number;
}

/** As the operator has it, but for everything that reaches beyond this process. */
function stagedConfig(config: GatewayConfig, { dir, secret, port }: Stage): GatewayConfig {
  const [http, ws] = [`http://127.0.0.1:${port}`, `ws://127.0.0.1:${port}/stream`];
  // Every one of them by name: none of the broker's own may be left.
  const endpoints: GatewayConfig['alpaca']['endpoints'] = {
    ...{ tradingPaper: http, tradingLive: http, data: http },
    ...{ streamTradingPaper: ws, streamTradingLive: ws, streamData: ws },
  };
  const account = { accountId: ACCOUNT, apiKey: '', secretKey: '', paperTrading: true };
  return {
    ...config,
    server: { ...without(config.server, 'tls'), requireHttps: false },
    cluster: { ...without(config.cluster, 'redis'), threads: 0 },
    auth: { ...without(config.auth, 'jwksUrl', 'publicKeyFile', 'publicKeyPem'), algorithms: ['HS256'], secret },
    alpaca: { ...config.alpaca, endpoints },
    risk: { ...config.risk, defaults: {}, accounts: {} },
    marketData: { ...config.marketData, sharedMemoryDir: dir, tableSizeMb: 1 },
    telemetry: { traceRatio: 0, webhooks: [] },
    dataDir: join(dir, 'data'),
    log: { level: 'fatal' },
    tradingAccounts: [account],
  };
}

function without<T extends object, K extends keyof T>(whole: T, ...names: readonly K[]): Omit<T, K> {
  const rest = Object.entries(whole).filter(([name]) => !(names as readonly string[]).includes(name));
  return Object.fromEntries(rest) as Omit<T, K>;
}

function startOf(config: GatewayConfig, dir: string, secret: string): StartMessage {
  const meshDir = join(dir, 'm');
  mkdirSync(meshDir);
  const keys = { apiKey: 'rehearsal', secretKey: secret };
  return {
    kind: 'start',
    ...{ slot: 0, slots: [0], meshDir, meshSecret: randomBytes(16).toString('hex'), bootPid: process.pid, config },
    grants: [{ accountId: ACCOUNT, epoch: 1, paperTrading: true, ...keys }],
    table: { version: 1, assignments: [ASSIGNMENT] },
  };
}

function tokenFor({ auth }: GatewayConfig, secret: string, { clock }: WorkerEnvironment): Promise<string> {
  const { issuer, audience } = auth;
  return signToken({
    ...{ secret, issuer, audience, subject: 'rehearsal', permissions: ['read', 'trade'], accounts: '*' },
    ...{ issuedAtS: clock.now() / 1_000, lifetimeS: 60, tokenId: 'rehearsal' },
  });
}

/** An order where there is a body, else the account. What it is answered does not matter: the way there does. */
function ask(socketPath: string, token: string, body: string | undefined): Promise<void> {
  const path = `/api/v1/accounts/${ACCOUNT}/${body === undefined ? 'account' : 'orders/stocks'}`;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method: body === undefined ? 'GET' : 'POST', headers }, (answer) => {
      answer.resume();
      answer.on('end', resolve);
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
