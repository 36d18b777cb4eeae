/** The settings as a reference: docs/configuration.md is this, and a test fails when it is not. */
import type Joi from 'joi';
import { configSchema } from './schema.js';

export interface Setting {
  /** `server.port`, `trading_accounts[].api_key`, `risk.accounts.<name>.no_short`. */
  readonly path: string;
  readonly type: string;
  /** As YAML; absent where there is none. */
  readonly byDefault?: string;
  readonly note: string;
}

export function settingsTable(): readonly Setting[] {
  return walk(configSchema.describe(), '');
}

export function settingsDocument(): string {
  const rows = settingsTable().map(({ path, type, byDefault, note }) =>
    [`\`${path}\``, type, byDefault === undefined ? '' : `\`${byDefault}\``, note].map((cell) =>
      cell.replaceAll('|', '\\|'),
    ),
  );
  return [
    '# Settings',
    '',
    'Made from the schema by `npm run docs`; do not edit. Any key can be set from the environment: `server.port` is',
    '`OPITIOS__SERVER__PORT`. Relative paths are relative to the configuration file. An unknown key is an error.',
    '',
    '| Key | Type | Default | What for |',
    '| --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
  ].join('\n');
}

function walk(description: Joi.Description, path: string): readonly Setting[] {
  const keys = description['keys'] as Readonly<Record<string, Joi.Description>> | undefined;
  const items = description['items'] as readonly Joi.Description[] | undefined;
  const patterns = description['patterns'] as readonly { readonly rule: Joi.Description }[] | undefined;
  if (keys !== undefined)
    return Object.entries(keys).flatMap(([name, member]) => walk(member, path === '' ? name : `${path}.${name}`));
  const rule = patterns?.[0]?.rule;
  if (rule?.['keys'] !== undefined) return walk(rule, `${path}.<name>`);
  const item = items?.[0];
  if (item?.['keys'] !== undefined) return walk(item, `${path}[]`);
  return [settingOf(description, path)];
}

interface Flags {
  readonly default?: unknown;
  readonly description?: string;
  readonly presence?: string;
}

function settingOf(description: Joi.Description, path: string): Setting {
  const flags = (description.flags ?? {}) as Flags;
  const required = flags.presence === 'required' ? 'Required. ' : '';
  const shown =
    typeof flags.default === 'string' ? flags.default : (JSON.stringify(flags.default) as string | undefined);
  return {
    path,
    type: typeOf(description),
    ...(shown === undefined ? {} : { byDefault: shown }),
    note: required + (flags.description ?? ''),
  };
}

function typeOf(description: Joi.Description): string {
  const allowed = description['allow'] as readonly unknown[] | undefined;
  const metas = description['metas'] as readonly { readonly type?: string }[] | undefined;
  const matches = description['matches'] as readonly { readonly schema: Joi.Description }[] | undefined;
  const rules = description['rules'] as
    readonly { readonly name: string; readonly args?: { readonly limit?: number } }[] | undefined;
  if (matches !== undefined) return matches.map(({ schema }) => typeOf(schema)).join(' or ');
  if (allowed !== undefined && description.type === 'string') return allowed.map(String).join(', ');
  const limit = (name: string): number | undefined => rules?.find((rule) => rule.name === name)?.args?.limit;
  if (description.type === 'number') return `number, ${limit('min') ?? ''} to ${limit('max') ?? ''}`;
  const names: Readonly<Record<string, string>> = {
    string: 'text',
    boolean: 'true or false',
    array: 'list',
    object: 'mapping',
  };
  return metas?.[0]?.type ?? names[description.type ?? ''] ?? String(description.type);
}
