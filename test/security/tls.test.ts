/** HTTPS of a whole gateway: what it offers to a scanner, and a certificate replaced under load. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { hasOpenssl, makeCertificate } from '../support/certificates.js';
import { eventually, startGateway, type GatewayProcess } from '../support/gateway-process.js';

const has = (program: string, flag: string): boolean => spawnSync(program, [flag], { stdio: 'ignore' }).status === 0;
const hasSslscan = has('sslscan', '--version');
if (!hasOpenssl) console.warn('SKIPPED: openssl is not installed, HTTPS is not tested');
if (!hasSslscan) console.warn('SKIPPED: sslscan is not installed, ciphers are not scanned');
const overTls = hasOpenssl ? test : test.skip;

const directory = mkdtempSync(join(tmpdir(), 'opitios-tls-'));
const at = (name: string): string => join(directory, name);
let gateway: GatewayProcess;

function putInPlace(name: string): void {
  copyFileSync(at(`${name}.key`), at('key.pem'));
  copyFileSync(at(`${name}.crt`), at('chain.pem'));
}

/** As a certificate robot does it: nobody ever sees half a file. */
function renameIntoPlace(name: string): void {
  copyFileSync(at(`${name}.key`), at('key.tmp'));
  renameSync(at('key.tmp'), at('key.pem'));
  copyFileSync(at(`${name}.crt`), at('chain.tmp'));
  renameSync(at('chain.tmp'), at('chain.pem'));
}

beforeAll(async () => {
  if (!hasOpenssl) return;
  for (const name of ['first', 'second', 'third'])
    makeCertificate({ name, certFile: at(`${name}.crt`), keyFile: at(`${name}.key`) });
  putInPlace('first');
  gateway = await startGateway({
    accounts: 2,
    config: {
      server: {
        require_https: true,
        tls: { cert_file: at('chain.pem'), key_file: at('key.pem') },
      },
    },
  });
}, 60_000);
afterAll(async () => {
  if (hasOpenssl) await gateway.stop();
  rmSync(directory, { recursive: true, force: true });
}, 30_000);

const portOf = (): number => Number(new URL(gateway.url).port);
const authorities = (): Buffer[] => ['first', 'second', 'third'].map((name) => readFileSync(at(`${name}.crt`)));

function get(path: string, agent: Agent, authorization: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(`${gateway.url}/api/v1${path}`, { agent, headers: { authorization } }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode ?? 0));
    });
    sent.once('error', reject).end();
  });
}

/** Who a new connection meets. */
function nameOfServer(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: portOf(), ca: authorities() }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

overTls(
  'a certificate is replaced by a reload under keep-alive load without a failed request',
  async () => {
    const authorization = `Bearer ${await gateway.token()}`;
    const agents = Array.from({ length: 4 }, () => new Agent({ keepAlive: true, maxSockets: 1, ca: authorities() }));
    const seen = { done: false, answers: 0, failed: [] as string[] };
    const readers = agents.map(async (agent) => {
      while (!seen.done) {
        const outcome = await get('/accounts', agent, authorization).then(String, String);
        seen.answers += 1;
        if (outcome !== '200') seen.failed.push(outcome);
      }
    });
    await eventually(() => seen.answers > 20, 'there is load');
    expect(await nameOfServer()).toBe('first');

    putInPlace('second');
    gateway.primary.kill('SIGHUP');
    await eventually(() => gateway.output().includes('configuration reloaded'), 'the reload is logged');
    for (let turn = 0; turn < 4; turn += 1) expect(await nameOfServer()).toBe('second');
    const answers = seen.answers;
    await eventually(() => seen.answers > answers + 20, 'the load goes on');
    seen.done = true;
    await Promise.all(readers);
    for (const agent of agents) agent.destroy();

    expect(seen.failed).toEqual([]);
  },
  60_000,
);

overTls(
  'a certificate renamed into its place counts without a signal; half of a pair does not, not even for a new worker',
  async () => {
    const before = await nameOfServer();
    copyFileSync(at('third.crt'), at('chain.pem'));
    await eventually(() => gateway.output().includes('are no pair'), 'the half pair is refused');
    const pid = await gateway.signalWorker(0, 'SIGKILL');
    await eventually(async () => {
      const { workers } = await gateway.pool();
      return workers.length === 2 && workers.every((one) => one.pid !== pid && one.state === 'ready');
    }, 'the worker is replaced');
    for (let turn = 0; turn < 6; turn += 1) expect(await nameOfServer()).toBe(before);

    renameIntoPlace('third');
    await eventually(async () => (await nameOfServer()) === 'third', 'the new certificate is shown');
  },
  60_000,
);

(hasOpenssl && hasSslscan ? test : test.skip)(
  'a scanner finds no weak protocol and no weak cipher',
  () => {
    const scan = spawnSync('sslscan', ['--xml=-', '--no-check-certificate', `127.0.0.1:${portOf()}`], {
      encoding: 'utf8',
      timeout: 50_000,
    });
    const enabled = [...scan.stdout.matchAll(/<protocol type="(\w+)" version="([\d.]+)" enabled="1"/g)];
    const ciphers = [
      ...scan.stdout.matchAll(/<cipher status="\w+" sslversion="([^"]+)" bits="(\d+)" cipher="([^"]+)"/g),
    ];

    expect(enabled.map(([, type = '', version = '']) => `${type} ${version}`).sort()).toEqual(['tls 1.2', 'tls 1.3']);
    expect(ciphers.length).toBeGreaterThan(3);
    const names = ciphers.map(([, protocol = '', bits = '', name = '']) => `${protocol} ${name} ${bits}`);
    expect(
      names.filter((name) =>
        /RC4|DES|NULL|EXP|anon|ADH|AECDH|MD5|SEED|IDEA|CAMELLIA|CBC| (?:0|40|56|64|112)$/.test(name),
      ),
    ).toEqual([]);
    // A key exchange without forward secrecy would open yesterday's traffic to tomorrow's thief.
    expect(names.filter((name) => name.startsWith('TLSv1.2') && !/ (?:ECDHE|DHE)-/.test(name))).toEqual([]);
    expect(names.filter((name) => name.startsWith('TLSv1.2') && !/GCM|CHACHA20|CCM/.test(name))).toEqual([]);
    expect(scan.stdout).not.toMatch(/heartbleed[^>]*vulnerable="1"/);
  },
  60_000,
);
