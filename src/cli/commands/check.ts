/** `opitios check`, `opitios config print`: read everything that a start would read, start nothing. */
import { describeProblems } from '../../kernel/config/problems.js';
import { redactedConfig } from '../../kernel/config/redacted-config.js';
import { silentLog } from '../../kernel/runtime/log.js';
import { SystemClock } from '../../kernel/runtime/system-clock.js';
import { JwtVerifier } from '../../kernel/auth/jwt-verifier.js';
import { authSecret, checkSecrets, openSession, warningsOf, type ConfigOption, type Session } from '../session.js';
import { say, warn } from '../terminal.js';

/** @throws GatewayError CONFIG_INVALID, SECRET_INVALID with every problem found. */
export async function checkedSession(options: ConfigOption): Promise<Session> {
  const session = await openSession(options);
  await checkSecrets(session);
  const secret = await authSecret(session);
  const policy = { ...session.config.auth, ...(secret === undefined ? {} : { secret }) };
  await JwtVerifier.open(policy, { clock: new SystemClock(), log: silentLog });
  return session;
}

export async function check(options: ConfigOption): Promise<void> {
  const session = await checkedSession(options);
  const { file, config } = session;
  for (const line of describeProblems(file, await warningsOf(session))) warn(`warning: ${line}`);
  const { workers } = config.cluster;
  say(
    `${file}: good: ${config.tradingAccounts.length} trading accounts, ${workers} workers, port ${config.server.port}`,
  );
}

export async function printConfig(options: ConfigOption): Promise<void> {
  const { config } = await openSession(options);
  say(JSON.stringify(redactedConfig(config), undefined, 2));
}
