/** The audit trail of a running gateway, of all its writers, as text. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GatewayProcess } from './gateway-process.js';

export function trailOf({ dir }: Pick<GatewayProcess, 'dir'>): string {
  return readdirSync(join(dir, 'data', 'audit'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('');
}
