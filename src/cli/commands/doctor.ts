/** `opitios doctor`: looks at the machine, the files and the broker, and says what to do. Changes nothing. */
import { spawnSync } from 'node:child_process';
import { readFile, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { AccountCredentials } from '../../kernel/config/gateway-config.js';
import { askBroker } from '../broker-check.js';
import { CommandFailure } from '../failures.js';
import { portProblem } from '../ports.js';
import type { ConfigOption, Session } from '../session.js';
import { say } from '../terminal.js';
import { checkedSession } from './check.js';

export interface DoctorOptions extends ConfigOption {
  /** False with --no-keys: the broker is not asked about every account. */
  readonly keys: boolean;
}

interface Finding {
  readonly level: 'ok' | 'warn' | 'fail';
  readonly text: string;
}

const OPEN_FILES_SPARE = 1024;
const DISK_BYTES_MIN = 1 << 30;
const CLOCK_WARN_MS = 2000;
const BROKER_AT_ONCE = 8;

export async function doctor(options: DoctorOptions): Promise<void> {
  const session = await checkedSession(options);
  say(`ok    ${session.file}: configuration and secrets are good`);
  const findings = [
    ...(await permissions(session)),
    ...(await openFiles(session)),
    ...(await disk(session)),
    ...(await ports(session)),
    ...parentDeath(),
    ...(options.keys ? await broker(session) : []),
  ];
  for (const { level, text } of findings) say(`${level.padEnd(5)} ${text}`);
  const failed = findings.filter(({ level }) => level === 'fail').length;
  if (failed > 0) throw new CommandFailure(`${failed} things need attention`);
}

async function permissions({ file, config }: Session): Promise<readonly Finding[]> {
  const { keyFile, passphraseFile, previousKeyFile } = config.secrets;
  const files = [file, keyFile, passphraseFile, previousKeyFile, config.server.tls?.keyFile, config.admin.tls?.keyFile];
  const findings: Finding[] = [];
  for (const named of files) {
    if (named === undefined) continue;
    const mode = (await stat(named)).mode & 0o777;
    if ((mode & 0o077) !== 0)
      findings.push({
        level: 'warn',
        text: `${named} is readable by others (0${mode.toString(8)}): chmod 600 ${named}`,
      });
  }
  return findings.length > 0 ? findings : [{ level: 'ok', text: 'files with secrets are private' }];
}

/** A worker holds sockets to the broker, one trade stream an account and its clients; any worker may inherit all accounts. */
async function openFiles({ config }: Session): Promise<readonly Finding[]> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const [, soft = ''] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
  if (soft === '') return [{ level: 'warn', text: 'the limit of open files is not known on this system' }];
  const needed = config.tradingAccounts.length + config.alpaca.poolConnections * 3 + OPEN_FILES_SPARE;
  if (Number(soft) >= needed) return [{ level: 'ok', text: `open files: ${soft} allowed, ${needed} needed and spare` }];
  return [{ level: 'fail', text: `open files: ${soft} allowed, ${needed} needed: ulimit -n ${needed} or more` }];
}

async function disk({ config }: Session): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const room = async (directory: string, least: number, name: string): Promise<void> => {
    const found = await statfs(directory).catch(() => statfs(dirname(directory)).catch(() => undefined));
    if (found === undefined) {
      findings.push({ level: 'fail', text: `${name} ${directory} does not exist: create it` });
      return;
    }
    const free = found.bavail * found.bsize;
    const megabytes = Math.floor(free / (1 << 20));
    findings.push({ level: free < least ? 'fail' : 'ok', text: `${name} ${directory}: ${megabytes} MB free` });
  };
  await room(config.dataDir, DISK_BYTES_MIN, 'data directory');
  await room(config.marketData.sharedMemoryDir, config.marketData.tableSizeMb * (1 << 20), 'shared memory');
  return findings;
}

async function ports({ config }: Session): Promise<readonly Finding[]> {
  const asked = [
    { key: 'server', ...config.server },
    ...(config.admin.socket === undefined ? [{ key: 'admin', ...config.admin }] : []),
  ];
  const findings: Finding[] = [];
  for (const { key, host, port } of asked) {
    const problem = await portProblem(host, port);
    if (problem !== undefined)
      findings.push({ level: 'warn', text: `${key}: ${problem} (fine while the gateway runs)` });
  }
  return findings.length > 0 ? findings : [{ level: 'ok', text: 'the ports are free' }];
}

/** What primary/fork.ts starts workers through. */
function parentDeath(): readonly Finding[] {
  if (spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true'], { stdio: 'ignore' }).status === 0)
    return [{ level: 'ok', text: 'setpriv: the kernel ends the workers together with the primary' }];
  const text = 'setpriv is missing: a stalled worker would outlive a killed primary: install util-linux';
  return [{ level: 'warn', text }];
}

async function broker(session: Session): Promise<readonly Finding[]> {
  const { config } = session;
  const findings: Finding[] = [];
  const drifts: number[] = [];
  const waiting = [config.masterAccount, ...config.tradingAccounts];
  const examine = async (account: AccountCredentials): Promise<void> => {
    const { accountId, paperTrading } = account;
    const apiKey = await session.keyring.reveal(account.apiKey, { accountId, field: 'api_key' });
    const secretKey = await session.keyring.reveal(account.secretKey, { accountId, field: 'secret_key' });
    const { verdict, detail, clockAheadMs } = await askBroker(config, { apiKey, secretKey, paperTrading });
    if (clockAheadMs !== undefined) drifts.push(clockAheadMs);
    if (verdict !== 'good') findings.push({ level: 'fail', text: `${accountId}: the broker ${detail}` });
  };
  const lane = async (): Promise<void> => {
    for (let account = waiting.shift(); account !== undefined; account = waiting.shift()) await examine(account);
  };
  await Promise.all(Array.from({ length: BROKER_AT_ONCE }, lane));
  if (findings.length === 0) findings.push({ level: 'ok', text: 'the broker takes every key' });
  return [...findings, ...clock(drifts)];
}

/** The header counts whole seconds and was written before it was read: only more than that is drift. */
function clock(drifts: readonly number[]): readonly Finding[] {
  const smallest = [...drifts].sort((a, b) => Math.abs(a) - Math.abs(b))[0];
  if (smallest === undefined) return [];
  const shown = `clock: ${(smallest / 1000).toFixed(1)} s ahead of the broker's`;
  if (Math.abs(smallest) <= CLOCK_WARN_MS) return [{ level: 'ok', text: shown }];
  return [{ level: 'warn', text: `${shown}: synchronise it (chrony, systemd-timesyncd)` }];
}
