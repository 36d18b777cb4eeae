/** What a start binds for the life of the primary: a worker that starts after a reload must share it with the others. */
import type { GatewayConfig } from '../kernel/config/gateway-config.js';

/** The configuration of the file, with the bound values of the running one in their places. */
export function pinned(running: GatewayConfig, file: GatewayConfig): GatewayConfig {
  const { server, admin, cluster, telemetry, dataDir } = running;
  const { sharedMemoryDir, tableSizeMb } = running.marketData;
  const marketData = { ...file.marketData, sharedMemoryDir, tableSizeMb };
  return { ...file, server, admin, cluster, telemetry, dataDir, marketData };
}
