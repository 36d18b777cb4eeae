#!/usr/bin/env node
/** The `opitios` command. Each command is loaded when it is called, so that `opitios token` does not pay for the rest. */
import { Command, CommanderError } from 'commander';
import { EXIT, report } from './failures.js';
import type { AccountOptions } from './commands/accounts.js';
import type { AdminOptions, ProfileOptions } from './commands/admin.js';
import type { AuditOptions, ExportOptions } from './commands/audit.js';
import type { DemoOptions } from './commands/demo.js';
import type { DoctorOptions } from './commands/doctor.js';
import type { RotateOptions } from './commands/rotate-key.js';
import type { StatusOptions } from './commands/status.js';
import type { StreamOptions } from './commands/stream.js';
import type { TokenOptions } from './commands/token.js';
import type { ConfigOption } from './session.js';

const program = new Command('opitios')
  .description('A gateway that keeps many Alpaca accounts warm behind one JWT-guarded door')
  .showSuggestionAfterError()
  .exitOverride();

/** Every command takes --config. */
function command(name: string, description: string, parent = program): Command {
  return parent
    .command(name)
    .description(description)
    .option('-c, --config <file>', 'configuration file (default: $OPITIOS_CONFIG or config/opitios.yaml)')
    .exitOverride();
}

command('serve', 'run the gateway').action(async (options: ConfigOption) =>
  (await import('./commands/serve.js')).serve(options),
);
command('check', 'check the configuration and start nothing').action(async (options: ConfigOption) =>
  (await import('./commands/check.js')).check(options),
);

program
  .command('demo')
  .description('run a simulated broker and the gateway on it')
  .option('--accounts <count>', 'simulated accounts', '100')
  .option('--port <port>', 'port of the gateway', '8090')
  .option('--workers <count>', 'worker processes (default: 2)')
  .exitOverride()
  .action(async (options: DemoOptions) => (await import('./commands/demo.js')).demo(options));

command('print', 'print the configuration in force, without secrets', program.command('config')).action(
  async (options: ConfigOption) => (await import('./commands/check.js')).printConfig(options),
);

command('encrypt', 'encrypt the plain text secrets of the configuration in place').action(
  async (options: ConfigOption) => (await import('./commands/encrypt.js')).encrypt(options),
);
command('rotate-key', 'put every secret under a new key or passphrase')
  .option('--key-file <file>', 'where the key is kept, when the gateway gets it by descriptor or credential')
  .action(async (options: RotateOptions) => (await import('./commands/rotate-key.js')).rotateKey(options));

const accounts = program.command('accounts').description('list, add, rotate or remove trading accounts');
command('list', 'list the accounts', accounts).action(async (options: ConfigOption) =>
  (await import('./commands/accounts.js')).list(options),
);
command('add <account_id>', 'add an account; asks for its keys', accounts)
  .option('--live', 'a live account instead of a paper one')
  .option('--no-verify', 'do not ask the broker whether the key works')
  .action(async (id: string, options: AccountOptions) => (await import('./commands/accounts.js')).add(id, options));
command('rotate <account_id>', 'replace the keys of an account; asks for them', accounts)
  .option('--no-verify', 'do not ask the broker whether the key works')
  .action(async (id: string, options: AccountOptions) => (await import('./commands/accounts.js')).rotate(id, options));
command('remove <account_id>', 'remove an account', accounts).action(async (id: string, options: ConfigOption) =>
  (await import('./commands/accounts.js')).remove(id, options),
);

command('stream', 'show quotes, trades, bars and order events as they come, one JSON record a line')
  .option('--quotes <symbols>', 'stock quotes, comma-separated')
  .option('--trades <symbols>', 'stock trades')
  .option('--bars <symbols>', 'minute bars')
  .option('--option-quotes <symbols>', 'option quotes')
  .option('--option-trades <symbols>', 'option trades')
  .option('--orders <accounts>', 'order events of accounts, or * for all')
  .option('--status <accounts>', 'session states of accounts, or * for all')
  .option('--url <url>', 'another gateway, such as wss://host/api/v1/stream')
  .option('--token <token>', 'instead of one signed here')
  .action(async (options: StreamOptions) => (await import('./commands/stream.js')).stream(options));

command('token', 'sign a token for local use (HS256 only)')
  .option('--subject <name>', 'who it is for', 'local')
  .option('--permissions <list>', 'of market_data, read, trade, audit, admin', 'market_data,read')
  .option('--accounts <list>', 'account ids, or "*"')
  .option('--expires <time>', 'such as 30m, 12h, 7d', '1h')
  .action(async (options: TokenOptions) => (await import('./commands/token.js')).token(options));

type AdminCommand = 'halt' | 'resume' | 'reload' | 'restart';
const adminCommands: Readonly<Record<AdminCommand, string>> = {
  halt: 'stop new orders, of one account or all',
  resume: 'allow new orders again',
  reload: 'read the configuration again',
  restart: 'restart the workers one after the other',
};
for (const name of Object.keys(adminCommands) as AdminCommand[]) {
  const admin = command(name, adminCommands[name]).option('--token <jwt>', 'use this token instead of signing one');
  if (name === 'halt' || name === 'resume')
    admin.option('--account <account_id>', 'only this account').option('--reason <text>', 'for the audit');
  admin.action(async (options: AdminOptions) => (await import('./commands/admin.js'))[name](options));
}

command('status', 'show what runs and what needs attention; goes on on a terminal, until Ctrl-C')
  .option('--once', 'print once and end')
  .option('--json', 'everything, as JSON, once')
  .option('--token <jwt>', 'use this token instead of signing one')
  .action(async (options: StatusOptions) => (await import('./commands/status.js')).status(options));
command('profile', 'take a profile of one worker of the running gateway')
  .option('--worker <slot>', 'its slot, as status shows it (default: the first)')
  .option('--kind <kind>', 'cpu, or heap (sampled)', 'cpu')
  .option('--seconds <count>', 'how long, 30 at most', '5')
  .option('--output <file>', 'where to write it (default: worker-SLOT.KINDprofile)')
  .option('--token <jwt>', 'use this token instead of signing one')
  .action(async (options: ProfileOptions) => (await import('./commands/admin.js')).profile(options));

const audit = program.command('audit').description('verify or export the audit trail');
command('verify', 'prove that no record was changed, removed or added', audit)
  .option('--dir <data_dir>', 'a copied data directory')
  .action(async (options: AuditOptions) => (await import('./commands/audit.js')).verify(options));
command('export', 'write records to standard output', audit)
  .option('--dir <data_dir>', 'a copied data directory')
  .option('--format <format>', 'jsonl or csv', 'jsonl')
  .option('--account <account_id>')
  .option('--from <time>', 'RFC 3339, inclusive')
  .option('--until <time>', 'RFC 3339, exclusive')
  .option('--kinds <list>', 'such as intent,outcome')
  .action(async (options: ExportOptions) => (await import('./commands/audit.js')).exportRecords(options));

command('doctor', 'look at the machine, the files and the broker, and advise')
  .option('--no-keys', 'do not ask the broker about every account')
  .action(async (options: DoctorOptions) => (await import('./commands/doctor.js')).doctor(options));

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : EXIT.invalid;
  else process.exitCode = report(error);
}
