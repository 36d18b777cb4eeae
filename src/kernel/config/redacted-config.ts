/** The compiled configuration for eyes and for other processes: without any secret. */
import type { AccountCredentials, GatewayConfig } from './gateway-config.js';
import { SEALED_PREFIX } from './checks.js';

/** Says only whether a secret is sealed, never how long it is. */
export function redactedConfig(config: GatewayConfig): GatewayConfig {
  const account = (credentials: AccountCredentials): AccountCredentials => ({
    ...credentials,
    apiKey: hide(credentials.apiKey),
    secretKey: hide(credentials.secretKey),
  });
  const { auth, cluster, telemetry } = config;
  return {
    ...config,
    auth: { ...auth, ...(auth.secret === undefined ? {} : { secret: hide(auth.secret) }) },
    cluster: {
      ...cluster,
      ...(cluster.redis === undefined ? {} : { redis: { ...cluster.redis, url: withoutUser(cluster.redis.url) } }),
    },
    // The path of a webhook is its password.
    telemetry: {
      ...telemetry,
      webhooks: telemetry.webhooks.map((hook) => ({ ...hook, url: `${new URL(hook.url).origin}/…` })),
    },
    masterAccount: account(config.masterAccount),
    tradingAccounts: config.tradingAccounts.map(account),
  };
}

function hide(secret: string): string {
  return secret.startsWith(SEALED_PREFIX) ? '[sealed]' : '[plain text]';
}

function withoutUser(text: string): string {
  const url = new URL(text);
  if (url.password !== '') url.password = 'redacted';
  return url.toString();
}
