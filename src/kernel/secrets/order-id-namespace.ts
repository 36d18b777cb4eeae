/**
 * What derived client order ids are made with (docs/order-protocol.md R3): a secret that all instances share, so that no
 * other subject can compute the id of a key and take it. Without one it is a constant.
 */
import { createHash, createHmac } from 'node:crypto';
import { RawKey, readPrivateFile } from './key-source.js';

/** Without `orders.id_key_file`. */
export const OPEN_NAMESPACE = 'opitios';

/** @throws GatewayError SECRET_INVALID unless the file is private and holds 32 bytes in base64 */
export async function namespaceOf(idKeyFile: string | undefined): Promise<string> {
  if (idKeyFile === undefined) return OPEN_NAMESPACE;
  const key = await new RawKey(await readPrivateFile(idKeyFile), idKeyFile).forSealing();
  return createHmac('sha256', key.bytes).update('opitios client order ids').digest('hex');
}

/** Names a namespace by a hash. */
export function fingerprintOf(namespace: string): string {
  return createHash('sha256').update(`opitios namespace ${namespace}`).digest('hex').slice(0, 16);
}
