/**
 * The configuration as the program reads it: every default applied, every path absolute, every secret still sealed or
 * plain as the file had it (opened only where an account is granted). What a user may write is config/opitios.yaml;
 * schema.ts turns one into the other once, and nothing below ever meets a default.
 */
import type { AccountId } from '../domain/identifiers.js';

export interface GatewayConfig {
  readonly server: ServerConfig;
  readonly admin: AdminConfig;
  readonly cluster: ClusterConfig;
  readonly auth: AuthConfig;
  readonly alpaca: AlpacaConfig;
  readonly secrets: SecretsConfig;
  readonly risk: RiskConfig;
  readonly orders: OrdersConfig;
  readonly marketData: MarketDataConfig;
  readonly streams: StreamsConfig;
  readonly limits: LimitsConfig;
  readonly telemetry: {
    readonly otlpEndpoint?: string;
    readonly traceRatio: number;
    readonly webhooks: readonly WebhookConfig[];
  };
  /** Journal and audit live here; absolute. */
  readonly dataDir: string;
  readonly log: { readonly level: LogLevel };
  readonly masterAccount: AccountCredentials;
  readonly tradingAccounts: readonly AccountCredentials[];
  /** Files that this came from, absolute: the configuration, its accounts file, its secret file. */
  readonly sourceFiles: readonly string[];
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export interface TlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile?: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** The files as the primary read them when it took the configuration up; absent in a configuration that was only loaded. */
  readonly pem?: TlsPem;
}

export interface TlsPem {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

export interface AdminConfig {
  readonly host: string;
  readonly port: number;
  /** Absolute. Instead of host and port. */
  readonly socket?: string;
  readonly audience?: string;
  /** Its own; off loopback `server.tls` serves where there is none. */
  readonly tls?: TlsConfig;
}

export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsConfig;
  /** false, or the number of proxies in front, or their addresses (CIDR). */
  readonly trustProxy: false | number | readonly string[];
  readonly requireHttps: boolean;
  /** Serves /metrics here too. */
  readonly exposeMetrics: boolean;
}

export interface ClusterConfig {
  /** Resolved from `auto`. */
  readonly workers: number;
  /** 0: batch work is done inline. */
  readonly threads: number;
  readonly warmSpare: boolean;
  readonly instanceId: string;
  readonly advertiseUrl?: string;
  readonly routing: 'forward' | 'misdirected' | 'redirect';
  readonly redis?: {
    readonly url: string;
    readonly mode: 'lease' | 'pinned';
    readonly keyPrefix: string;
    readonly slots: number;
    /** Mode `pinned`: every instance, this one included, in the same order everywhere. */
    readonly instances: readonly { readonly instanceId: string; readonly url: string }[];
  };
}

export interface AuthConfig {
  readonly algorithms: readonly string[];
  readonly secret?: string;
  readonly publicKeyFile?: string;
  /** The file as the primary read it; absent in a configuration that was only loaded. */
  readonly publicKeyPem?: string;
  readonly jwksUrl?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly clockToleranceS: number;
  readonly maxLifetimeS: number;
  readonly revokedTokenIds: readonly string[];
  /** Subject to seconds since the epoch: tokens issued before are refused. */
  readonly notBefore: Readonly<Record<string, number>>;
}

export interface AlpacaConfig {
  readonly endpoints: {
    readonly tradingPaper: string;
    readonly tradingLive: string;
    readonly data: string;
    readonly streamTradingPaper: string;
    readonly streamTradingLive: string;
    readonly streamData: string;
  };
  readonly feed: string;
  readonly optionFeed: string;
  readonly requestTimeoutMs: number;
  readonly rateLimitPerMinute: number;
  readonly dataRateLimitPerMinute: number;
  /** Sockets per origin and worker, all open before ready is said. */
  readonly poolConnections: number;
  readonly warmConcurrency: number;
}

export interface SecretsConfig {
  readonly keyFile?: string;
  readonly keyFd?: number;
  readonly passphraseFile?: string;
  readonly previousKeyFile?: string;
  readonly allowPlainText: boolean;
}

/** Decimals are strings: money is never a float. An absent rule is not applied. */
export interface RiskRules {
  readonly maxOrderNotional?: string;
  readonly maxOrderQty?: string;
  readonly maxOrdersPerMinute?: number;
  readonly maxOpenOrders?: number;
  readonly allowSymbols?: readonly string[];
  readonly denySymbols?: readonly string[];
  /** Furthest a limit may stand from the quote, in percent. */
  readonly priceCollarPercent?: string;
  readonly maxQuoteAgeMs?: number;
  readonly maxSpreadPercent?: string;
  readonly noShort?: boolean;
  /** Two orders alike within this time: the second is denied. */
  readonly duplicateWindowMs?: number;
}

export interface RiskConfig {
  readonly defaults: RiskRules;
  readonly accounts: Readonly<Record<string, RiskRules>>;
}

export interface OrdersConfig {
  readonly requireIdempotencyKey: boolean;
  readonly ambiguous: 'reconcile_only' | 'resubmit_same_id';
  /** How long a caller waits for an unknown outcome before the 202. */
  readonly answerDeadlineMs: number;
  readonly quarantineAfterMs: number;
  readonly onLate: 'keep' | 'cancel';
  readonly keepKeysDays: number;
  /** Absolute. 32 bytes in base64 that derived client order ids are made with; absent: a constant that anybody knows. */
  readonly idKeyFile?: string;
  readonly previousIdKeyFile?: string;
  /** As the primary derived them from those files; absent in a configuration that was only loaded. */
  readonly idNamespaces?: IdNamespaces;
}

/** What derived client order ids are made with (docs/order-protocol.md R3). */
export interface IdNamespaces {
  readonly current: string;
  /** The one before, for as long as keys of its time are still looked up. */
  readonly former?: { readonly namespace: string; /** Wall milliseconds. */ readonly until: number };
}

export interface MarketDataConfig {
  readonly fallbackAccounts: readonly AccountId[];
  readonly subscribeLimit: number;
  readonly optionSubscribeLimit: number;
  /** A quote older than this is fetched again unless its symbol is subscribed. */
  readonly quoteMaxAgeMs: number;
  readonly muteTimeoutMs: number;
  /** Where the shared quote table lives; tmpfs where there is one. */
  readonly sharedMemoryDir: string;
  readonly tableSizeMb: number;
}

export interface StreamsConfig {
  readonly flushIntervalMs: number;
  readonly authTimeoutMs: number;
  readonly messageBytesMax: number;
  readonly controlMessagesPerSecond: number;
  readonly subscriptionsMax: number;
  readonly socketsPerSubject: number;
  readonly socketsPerAddress: number;
  readonly bufferedBytesMax: number;
  readonly orderBacklogMax: number;
  readonly ringSize: number;
  readonly allowedOrigins: readonly string[];
  readonly pingIntervalMs: number;
}

export interface LimitsConfig {
  readonly bodyBytesMax: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly connectionsMax: number;
  readonly inFlightMax: number;
  /** Requests a minute; absent means no limit. */
  readonly perSubjectPerMinute?: number;
  readonly perAccountPerMinute?: number;
}

export interface WebhookConfig {
  readonly url: string;
  readonly shape: 'json' | 'slack';
}

export interface AccountCredentials {
  readonly accountId: AccountId;
  /** Plain text or an `enc:` envelope. */
  readonly apiKey: string;
  readonly secretKey: string;
  readonly paperTrading: boolean;
}
