/** `opitios audit verify|export`: offline, on the configured or a copied data directory. */
import { join } from 'node:path';
import { AUDIT_KINDS, type AuditKind, type AuditQuery } from '../../kernel/audit/audit-log.js';
import { exportAudit } from '../../kernel/audit/export.js';
import { verifyAudit } from '../../kernel/audit/verify.js';
import { parseAccountId } from '../../kernel/domain/identifiers.js';
import { CommandFailure, EXIT } from '../failures.js';
import { openSession, type ConfigOption } from '../session.js';
import { say } from '../terminal.js';

export interface AuditOptions extends ConfigOption {
  /** A data directory; the configuration is not read then. */
  readonly dir?: string;
}

export interface ExportOptions extends AuditOptions {
  readonly format: string;
  readonly account?: string;
  readonly from?: string;
  readonly until?: string;
  readonly kinds?: string;
}

export async function verify(options: AuditOptions): Promise<void> {
  const { records, checkpoints, unsigned, torn, faults } = await verifyAudit(await auditDirectory(options));
  for (const file of torn) say(`${file}: its last write was cut by a crash; nobody had been told that it happened`);
  if (faults.length > 0)
    throw new CommandFailure(faults.map(({ file, line, reason }) => `${file}:${line}: ${reason}`).join('\n'));
  say(`audit holds: ${records} records, ${checkpoints} signed checkpoints, ${unsigned} records not yet signed`);
}

export async function exportRecords(options: ExportOptions): Promise<void> {
  const { format } = options;
  if (format !== 'jsonl' && format !== 'csv') throw new CommandFailure('--format: jsonl or csv', EXIT.invalid);
  for await (const text of exportAudit(await auditDirectory(options), queryOf(options), format))
    if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.once('drain', resolve));
}

async function auditDirectory(options: AuditOptions): Promise<string> {
  const dataDir = options.dir ?? (await openSession(options)).config.dataDir;
  return join(dataDir, 'audit');
}

function queryOf({ account, from, until, kinds }: ExportOptions): AuditQuery {
  return {
    ...(account === undefined ? {} : { accountId: parseAccountId(account) }),
    ...(from === undefined ? {} : { from }),
    ...(until === undefined ? {} : { until }),
    ...(kinds === undefined ? {} : { kinds: kinds.split(',').map(kindOf) }),
  };
}

function kindOf(name: string): AuditKind {
  const kind = AUDIT_KINDS.find((known) => known === name.trim());
  if (kind === undefined)
    throw new CommandFailure(`--kinds: "${name}" is none of ${AUDIT_KINDS.join(', ')}`, EXIT.invalid);
  return kind;
}
