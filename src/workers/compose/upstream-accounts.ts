/** The master and its stand-ins as market data sees them: their REST on both hosts and their streams. */
import type { AlpacaConfig } from '../../kernel/config/gateway-config.js';
import type { AccountGrant } from '../../kernel/ipc/control.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import { openDataStream } from '../alpaca/data-stream.js';
import type { UpstreamAccount, WireReply } from '../market-data/upstream.js';
import type { BrokerPools } from './broker-pools.js';

const STREAM = { openTimeoutMs: 10_000, pingIntervalMs: 5_000 } as const;

export function upstreamAccounts(
  master: AccountGrant,
  config: AlpacaConfig,
  pools: BrokerPools,
  clock: Clock,
): readonly [UpstreamAccount, ...UpstreamAccount[]] {
  const one = (grant: AccountGrant): UpstreamAccount => upstreamAccount(grant, config, pools, clock);
  return [one(master), ...(master.standIns ?? []).map(one)];
}

function upstreamAccount(
  { accountId, apiKey, secretKey, paperTrading }: AccountGrant,
  config: AlpacaConfig,
  pools: BrokerPools,
  clock: Clock,
): UpstreamAccount {
  const keys = { keyId: apiKey, secretKey };
  const wires = {
    data: pools.wire(config.endpoints.data, keys),
    trading: pools.wire(pools.tradingOrigin(paperTrading), keys),
  };
  return {
    accountId,
    wire: {
      get: async (host, path, { deadlineMs }): Promise<WireReply> => {
        const result = await wires[host].send({ method: 'GET', path, deadlineMs });
        if (result.kind === 'answered') return result;
        return { kind: 'failed', isTimeout: result.detail === 'deadline', detail: result.detail };
      },
    },
    openStream: (path, events) =>
      openDataStream({ ...STREAM, url: `${config.endpoints.streamData}/${path}`, keys }, events, clock),
  };
}
