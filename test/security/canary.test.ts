/** Every secret is a value that stands nowhere else; after a rough life of the gateway none is found outside its file. */
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { AUTH_SECRET, openKeyring, type Keyring } from '../../src/kernel/secrets/keyring.js';
import { eventually, startGateway, type GatewayProcess } from '../support/gateway-process.js';
import { SecretHunt, type Needle } from '../support/secret-hunt.js';
import { startTraceReceiver, type TraceReceiver } from '../support/trace-receiver.js';

const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
const MASTER = 'master';
const CLI = new URL('../../dist/cli/main.js', import.meta.url).pathname;

const directories: string[] = [];
let gateway: GatewayProcess | undefined;
let receiver: TraceReceiver | undefined;
afterEach(async () => {
  await gateway?.stop();
  await receiver?.close();
  gateway = receiver = undefined;
}, 60_000);
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

function aDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'opitios-canary-'));
  directories.push(directory);
  return directory;
}

interface Keys {
  api_key: string;
  secret_key: string;
}
type Config = Record<string, unknown> & {
  auth: { secret: string };
  master_account: Keys;
  trading_accounts: (Keys & { account_id: string })[];
};

function needlesOf(config: Config): Needle[] {
  const keys = (id: string, { api_key, secret_key }: Keys): Needle[] => [
    { name: `api key of ${id}`, value: api_key },
    { name: `secret key of ${id}`, value: secret_key },
  ];
  return [
    { name: 'token secret', value: config.auth.secret },
    ...keys(MASTER, config.master_account),
    ...config.trading_accounts.flatMap((account) => keys(account.account_id, account)),
  ];
}

async function seal(config: Config, keyring: Keyring): Promise<void> {
  const sealKeys = async (keys: Keys, id: string): Promise<void> => {
    keys.api_key = await keyring.seal(keys.api_key, id, 'api_key');
    keys.secret_key = await keyring.seal(keys.secret_key, id, 'secret_key');
  };
  config.auth.secret = await keyring.seal(config.auth.secret, AUTH_SECRET.accountId, AUTH_SECRET.field);
  await sealKeys(config.master_account, MASTER);
  for (const account of config.trading_accounts) await sealKeys(account, account.account_id);
}

/** What came out of the gateway towards its callers. */
class Traffic {
  readonly texts: (readonly [place: string, text: string])[] = [];
  readonly tokens: string[] = [];

  constructor(private readonly running: GatewayProcess) {}

  async token(...claims: Parameters<GatewayProcess['token']>): Promise<string> {
    const token = await this.running.token(...claims);
    this.tokens.push(token);
    return token;
  }

  async call(
    token: string,
    path: string,
    init: RequestInit = {},
    base = `${this.running.url}/api/v1`,
  ): Promise<number> {
    // Traced: spans leave the gateway too.
    const traceparent = `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', traceparent };
    const response = await fetch(`${base}${path}`, { ...init, headers });
    const head = JSON.stringify([...response.headers]);
    this.texts.push([
      `answer to ${init.method ?? 'GET'} ${path.split('?')[0] ?? ''}`,
      `${head}\n${await response.text()}`,
    ]);
    return response.status;
  }

  order(token: string, account: string, over: object = {}): Promise<number> {
    const body = JSON.stringify({ ...ORDER, ...over });
    return this.call(token, `/accounts/${account}/orders/stocks`, { method: 'POST', body });
  }

  /** Opens a stream in one of the three ways, subscribes, and keeps what came. */
  async stream(token: string, way: 'header' | 'subprotocol' | 'message'): Promise<WebSocket> {
    const url = `${this.running.url.replace('http', 'ws')}/api/v1/stream`;
    const socket =
      way === 'subprotocol'
        ? new WebSocket(url, [`bearer.${token}`])
        : new WebSocket(url, way === 'header' ? { headers: { authorization: `Bearer ${token}` } } : {});
    let frames = 0;
    socket.on('message', (data: Buffer) => {
      frames += 1;
      this.texts.push([`frame of the stream by ${way}`, data.toString()]);
    });
    socket.on('close', (code, reason) => this.texts.push(['close of a stream', `${code} ${reason.toString()}`]));
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    if (way === 'message') socket.send(JSON.stringify({ action: 'auth', token }));
    socket.send(JSON.stringify({ action: 'subscribe', quotes: ['AAPL'], orders: ['*'] }));
    socket.send(JSON.stringify({ action: 'nonsense', token }));
    await eventually(() => frames > 0, 'the stream answers');
    return socket;
  }
}

async function roughLife(running: GatewayProcess, traffic: Traffic): Promise<void> {
  const { simulator, adminUrl } = running;
  const [first = '', second = '', refused = ''] = running.accountIds;
  const all = await traffic.token();
  const sockets = [
    await traffic.stream(all, 'header'),
    await traffic.stream(all, 'subprotocol'),
    await traffic.stream(all, 'message'),
  ];
  expect(await traffic.order(all, first)).toBe(201);
  expect(await traffic.order(all, second, { symbol: 'NOSUCH' })).toBeGreaterThanOrEqual(400);
  await traffic.order(all, first, { qty: '-1', api_key: 'x' });
  await traffic.call(all, `/accounts/${first}/account?fresh=true`);
  await traffic.call(all, '/stocks/quote/AAPL');
  await traffic.call(all, '/stocks/quote/NOSUCH');
  await traffic.call(all, '/nowhere');
  expect(await traffic.call(all.slice(0, -3), '/accounts')).toBe(401);
  expect(await traffic.call(await traffic.token({ lifetimeS: -60 }), '/accounts')).toBe(401);
  expect(await traffic.call(await traffic.token({ accounts: [first] }), `/accounts/${second}/account`)).toBe(404);
  await traffic.call(all, '/accounts?token=1');

  await simulator.control.breakKey(refused);
  await simulator.control.cutConnections();
  await traffic.call(all, `/accounts/${refused}/account?fresh=true`);
  await traffic.order(all, refused);
  await simulator.control.failTradeStreams([first]);

  const pid = await running.signalWorker(0, 'SIGKILL');
  await eventually(async () => {
    const { ready, workers } = await running.pool();
    return ready && workers.every((worker) => worker.pid !== pid && worker.state === 'ready');
  }, 'the killed worker is replaced');
  running.primary.kill('SIGHUP');
  await eventually(() => running.output().includes('configuration reloaded'), 'the reload is logged');
  await traffic.call(all, `/accounts/${first}/orders`);
  await traffic.call(all, '/pool');
  await traffic.call(all, `/pool/${refused}`);
  await traffic.call(all, `/accounts/${first}/audit`);
  await traffic.call(all, '/pool', {}, adminUrl);
  await traffic.call(all, '/metrics', {}, adminUrl);
  await traffic.call(all.slice(0, -3), '/pool', {}, adminUrl);
  for (const socket of sockets) socket.terminate();
}

test.each([
  ['plain text', false],
  ['sealed secrets', true],
])(
  'with %s no key, token or header value is found in any output, file, frame, answer or process',
  async (_name, isSealed) => {
    const directory = aDirectory();
    const tables = join(directory, 'tables');
    mkdirSync(tables, { mode: 0o700 });
    const keyFile = join(directory, 'opitios.key');
    const operatorKey = randomBytes(32).toString('base64');
    writeFileSync(keyFile, operatorKey, { mode: 0o600 });
    const needles: Needle[] = [{ name: 'operator key', value: operatorKey }];
    receiver = await startTraceReceiver();
    gateway = await startGateway({
      accounts: 4,
      config: {
        log: { level: 'trace' },
        telemetry: { otlp_endpoint: receiver.endpoint },
        market_data: { shared_memory_dir: tables },
        ...(isSealed ? { secrets: { key_file: keyFile } } : {}),
      },
      editConfig: async (config) => {
        needles.push(...needlesOf(config as Config));
        if (isSealed) await seal(config as Config, await openKeyring({ keyFile }));
      },
    });
    const running = gateway;
    const pids = [process.pid, ...(await running.pool()).workers.map(({ pid }) => pid)].slice(1);
    const traffic = new Traffic(running);
    await roughLife(running, traffic);
    // A killed worker takes its last spans with it: these are of workers that end in order.
    for (let turn = 0; turn < 12; turn += 1) await (await running.get('/clock')).text();
    pids.push(running.primary.pid ?? 0, ...(await running.pool()).workers.map(({ pid }) => pid));
    const printed = execFileSync(process.execPath, [CLI, 'config', 'print', '--config', running.configFile]);
    const unreadable = join(directory, 'broken.yaml');
    writeFileSync(unreadable, `auth: { secret: "${needles[1]?.value ?? ''}" \n  broken: [`, { mode: 0o600 });
    const broken = spawnSync(process.execPath, [CLI, 'check', '--config', unreadable]);
    expect(broken.status).toBe(2);
    for (const [index, token] of traffic.tokens.entries())
      needles.push({ name: `signature of token ${index}`, value: token.split('.')[2] ?? '' });

    const hunt = new SecretHunt(needles);
    for (const pid of pids) hunt.inProcess(pid);
    for (const [place, text] of traffic.texts) hunt.inText(place, text);
    hunt.inText('config print', printed);
    hunt.inText('check of a broken file', Buffer.concat([broken.stdout, broken.stderr]));
    hunt.inDirectory(tables);
    hunt.inText('output', running.output());
    const { dir, configFile } = running;
    const copy = readFileSync(configFile);
    hunt.inDirectory(dir, [configFile]);
    // The last words and the last spans.
    await running.stop();
    hunt.inText('output to the end', running.output());
    hunt.inText('spans', JSON.stringify(receiver.spans));

    expect(hunt.hits).toEqual([]);
    expect(receiver.spans.length).toBeGreaterThan(10);
    expect(hunt.places).toBeGreaterThan(60);
    // The hunt can fail: the file that holds the secrets is found when it is not excepted.
    hunt.inText('the configuration', copy);
    if (!isSealed) expect(hunt.hits.length).toBeGreaterThanOrEqual(needles.length - traffic.tokens.length - 1);
  },
  120_000,
);
