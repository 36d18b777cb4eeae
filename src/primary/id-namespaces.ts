/**
 * Remembers under which namespace client order ids were derived here, by its fingerprint alone. When another one is put
 * in force, keys of the last seven days are still looked up under the one before (docs/order-protocol.md R3).
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { GatewayConfig, IdNamespaces } from '../kernel/config/gateway-config.js';
import { configInvalid } from '../kernel/config/problems.js';
import { fingerprintOf, namespaceOf, OPEN_NAMESPACE } from '../kernel/secrets/order-id-namespace.js';

/** As long as the broker refuses an id that it has seen, and callers repeat a key. */
const LOOKED_UP_MS = 7 * 86_400_000;

interface Remembered {
  readonly fingerprint: string;
  /** Of the one before; absent when there was none. */
  readonly former?: string;
  /** Wall milliseconds at which it was put in force after another one. */
  readonly changedAt?: number;
}

export interface OpenedNamespaces {
  readonly namespaces: IdNamespaces;
  /** To be called when they are in force. */
  readonly remember: () => void;
}

/**
 * @throws GatewayError SECRET_INVALID
 * @throws GatewayError CONFIG_INVALID when ids of another key may still be asked for, and that key is not given
 */
export async function openNamespaces(config: GatewayConfig, now: number): Promise<OpenedNamespaces> {
  const { orders, dataDir } = config;
  const current = await namespaceOf(orders.idKeyFile);
  const file = join(dataDir, 'primary', 'order-ids.json');
  const remembered = read(file);
  const fingerprint = fingerprintOf(current);
  const next = follow(remembered ?? unremembered(config, fingerprint), fingerprint, now);
  const { former, changedAt } = next;
  const until = (changedAt ?? -Infinity) + LOOKED_UP_MS;
  const isLookedUp = former !== undefined && until > now;
  return {
    namespaces: {
      current,
      ...(isLookedUp && { former: { namespace: await formerNamespace(config, former), until } }),
    },
    remember: () => {
      if (next !== remembered) write(file, next);
    },
  };
}

/** Nothing is known here of the time before; other instances may have placed orders without a key file then. */
function unremembered({ cluster }: GatewayConfig, fingerprint: string): Remembered {
  return cluster.redis === undefined ? { fingerprint } : { fingerprint: fingerprintOf(OPEN_NAMESPACE) };
}

function follow(remembered: Remembered, fingerprint: string, now: number): Remembered {
  if (remembered.fingerprint === fingerprint) return remembered;
  return { fingerprint, former: remembered.fingerprint, changedAt: now };
}

async function formerNamespace({ orders, sourceFiles }: GatewayConfig, fingerprint: string): Promise<string> {
  if (fingerprintOf(OPEN_NAMESPACE) === fingerprint) return OPEN_NAMESPACE;
  if (orders.previousIdKeyFile !== undefined) {
    const namespace = await namespaceOf(orders.previousIdKeyFile);
    if (fingerprintOf(namespace) === fingerprint) return namespace;
  }
  const reason = `must name the key before (fingerprint ${fingerprint}): ids of the last seven days were made with it`;
  throw configInvalid(sourceFiles[0] ?? '', [{ path: 'orders.previous_id_key_file', reason }]);
}

function read(file: string): Remembered | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Remembered;
  } catch {
    return undefined;
  }
}

function write(file: string, remembered: Remembered): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.next`, JSON.stringify(remembered), { mode: 0o600 });
  renameSync(`${file}.next`, file);
}
