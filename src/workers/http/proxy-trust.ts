/** Which hop is the client, and did it come over TLS? X-Forwarded-* counts only from hops that the operator named. */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { GatewayError } from '../../kernel/domain/errors.js';

export class ProxyTrust {
  readonly #networks: BlockList | undefined;

  /** @throws GatewayError CONFIG_INVALID for an address or network that is none. */
  constructor(private readonly trust: false | number | readonly string[]) {
    this.#networks = typeof trust === 'object' ? networksOf(trust) : undefined;
  }

  clientAddress(req: IncomingMessage): string {
    const peer = plainAddress(req.socket.remoteAddress ?? '');
    if (this.trust === false || this.trust === 0) return peer;
    const hops = String(req.headers['x-forwarded-for'] ?? '')
      .split(',')
      .map((hop) => plainAddress(hop.trim()))
      .filter((hop) => isIP(hop) !== 0);
    let client = peer;
    // From the nearest hop outwards, as long as the one that told us is trusted.
    for (let told = 1; hops.length > 0 && this.#trusts(client, told); told += 1) client = hops.pop() ?? client;
    return client;
  }

  /** A peer whose connections carry other callers' requests. */
  isProxy(address: string): boolean {
    return this.#trusts(plainAddress(address), 1);
  }

  isSecure(req: IncomingMessage): boolean {
    if ((req.socket as Partial<TLSSocket>).encrypted === true) return true;
    if (!this.#trusts(plainAddress(req.socket.remoteAddress ?? ''), 1)) return false;
    return req.headers['x-forwarded-proto'] === 'https';
  }

  #trusts(address: string, hop: number): boolean {
    if (typeof this.trust === 'number') return hop <= this.trust;
    if (this.#networks === undefined || isIP(address) === 0) return false;
    return this.#networks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
}

function networksOf(entries: readonly string[]): BlockList {
  const networks = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const version = isIP(address);
    const prefix = bits === undefined ? (version === 6 ? 128 : 32) : Number(bits);
    if (version === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > (version === 6 ? 128 : 32)) {
      throw new GatewayError('CONFIG_INVALID', { key: 'server.trust_proxy', entry });
    }
    networks.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4');
  }
  return networks;
}

function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
