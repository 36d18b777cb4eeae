/**
 * YAML as a configuration needs it: core schema, no anchors or aliases (an alias bomb is built in milliseconds and explodes
 * later), no doubled keys, no size without end.
 */
import { readFile, stat } from 'node:fs/promises';
import { CORE_SCHEMA, load, YAMLException } from 'js-yaml';
import { configInvalid } from './problems.js';

const BYTES_MAX = 2 * 1024 * 1024;
const DEPTH_MAX = 20;

/** @throws GatewayError CONFIG_INVALID; an empty file is an empty mapping. */
export async function readYamlFile(file: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > BYTES_MAX) throw configInvalid(file, [{ path: '', reason: 'is larger than 2 MB' }]);
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch (cause) {
    throw unreadable(file, cause);
  }
  const value = parseYaml(file, text);
  if (value === null || value === undefined) return {};
  if (!isMapping(value)) throw configInvalid(file, [{ path: '', reason: 'must be a mapping of keys to values' }]);
  return value;
}

/** @throws GatewayError CONFIG_INVALID */
export function parseYaml(file: string, text: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return load(text, { schema: CORE_SCHEMA, maxAliases: 0, maxDepth: DEPTH_MAX });
  } catch (cause) {
    if (!(cause instanceof YAMLException)) throw cause;
    const at = cause.mark === undefined ? '' : ` at line ${cause.mark.line + 1}`;
    throw configInvalid(file, [{ path: '', reason: `is not valid YAML${at}: ${cause.reason}` }]);
  }
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unreadable(file: string, cause: unknown): unknown {
  const code = isMapping(cause) && typeof cause['code'] === 'string' ? cause['code'] : undefined;
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'does not exist',
    EACCES: 'may not be read by this user',
    EISDIR: 'is a directory',
    ERR_ENCODING_INVALID_ENCODED_DATA: 'is not UTF-8 text',
  };
  if (code === undefined || code === 'CONFIG_INVALID') return cause;
  return configInvalid(file, [{ path: '', reason: reasons[code] ?? `cannot be read (${code})` }]);
}
