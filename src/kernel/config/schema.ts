/**
 * Every key a user may write, with its default and what it is for: the table in docs/configuration.md is made from this.
 * Shapes only; what concerns two keys at once is in checks.ts.
 */
import Joi from 'joi';
import { accountRisk, alpacaSection, marketDataSection, ordersSection, riskRules } from './schema-trading.js';
import { flag, section, text, url, whole } from './schema-fields.js';

const port = (note: string, byDefault: number): Joi.NumberSchema => whole(note, 0, 65_535).default(byDefault);

const tls = {
  cert_file: text('PEM chain.').required(),
  key_file: text('PEM private key, mode 0600.').required(),
  client_ca_file: text('PEM of the authority whose client certificates are asked for.'),
  min_version: Joi.string().valid('TLSv1.2', 'TLSv1.3').default('TLSv1.2').description('Oldest TLS spoken.'),
};

const server = section({
  host: text('Address to listen on. Anything but loopback counts as production.').default('127.0.0.1'),
  port: port('Port of the client door; 0 takes a free one.', 8090),
  tls: Joi.object(tls).description('Serve HTTPS here; absent means plain HTTP behind a proxy or on loopback.'),
  trust_proxy: Joi.alternatives(
    Joi.boolean(),
    Joi.number().integer().min(0).max(10),
    Joi.string(),
    Joi.array().items(Joi.string()),
  )
    .default(false)
    .description('Proxies in front whose X-Forwarded headers count: false, their number, or their addresses (CIDR).'),
  require_https: flag('Refuse requests that did not come by HTTPS. May be false on loopback only.', true),
  expose_metrics: flag('Serve /metrics on the client door too.', false),
});

const admin = section({
  host: text('Address of the operator door. Off loopback it speaks HTTPS only.').default('127.0.0.1'),
  port: port('Port of the operator door; 0 takes a free one.', 9464),
  socket: text('Unix socket to serve instead of host and port, mode 0600.'),
  audience: text('Audience that tokens for the operator door must carry.'),
  tls: Joi.object(tls).description('HTTPS of the operator door; off loopback server.tls serves where this is absent.'),
});

const cluster = section({
  workers: Joi.alternatives(Joi.string().valid('auto'), Joi.number().integer().min(1).max(128))
    .default('auto')
    .description('Worker processes; auto is one a core.'),
  threads: Joi.alternatives(Joi.string().valid('auto'), Joi.number().integer().min(0).max(32))
    .default('auto')
    .description(
      "Threads for batch work in each worker; 0 does it in the worker's own loop, where everything waits for it.",
    ),
  warm_spare: flag('Keep a started worker without accounts to replace a dead one at once.', true),
  instance_id: Joi.string()
    .pattern(/^[\w.-]{1,64}$/, 'letters, digits, _ . -')
    .description('Name of this instance among several; default the host name.'),
  advertise_url: url('Where other instances reach this one; default made from server.', 'http', 'https'),
  routing: Joi.string()
    .valid('forward', 'misdirected', 'redirect')
    .default('forward')
    .description("What happens to a request for another instance's account."),
  redis: Joi.object({
    url: url('Redis that several instances share.', 'redis', 'rediss', 'unix').required(),
    mode: Joi.string()
      .valid('lease', 'pinned')
      .default('lease')
      .description('Lease accounts and take over from a lost instance, or pin them to the listed instances for good.'),
    key_prefix: text('Before every key.').default('opitios:'),
    slots: whole('Account slots leased between instances; the same at all of them.', 1, 4096).default(64),
    instances: Joi.array()
      .items(
        Joi.object({
          instance_id: Joi.string()
            .pattern(/^[\w.-]{1,64}$/, 'letters, digits, _ . -')
            .required()
            .description('Its cluster.instance_id.'),
          url: url('Where it is reached.', 'http', 'https').required(),
        }),
      )
      .max(64)
      .default([])
      .description('Mode pinned: every instance, this one included; the same list everywhere.'),
  }).description('More than one instance; absent means one alone.'),
});

const auth = section({
  algorithms: Joi.array()
    .items(Joi.string().valid('HS256', 'RS256', 'ES256', 'EdDSA'))
    .min(1)
    .default(['HS256'])
    .description('Signature algorithms accepted; HS256 never together with the others.'),
  secret: text('HS256 secret, at least 32 bytes; plain or `enc:`.'),
  secret_file: text('File (mode 0600) that holds the HS256 secret instead.'),
  public_key_file: text('PEM public key for RS256, ES256 or EdDSA.'),
  jwks_url: url('Key set of the issuer.', 'https', 'http'),
  issuer: text('Required `iss`.'),
  audience: text('Required `aud`.'),
  clock_tolerance_s: whole('Clock difference allowed, seconds.', 0, 30).default(5),
  max_lifetime_s: whole('Longest `exp - iat` accepted, seconds.', 60, 315_360_000).default(31_536_000),
  revoked_token_ids: Joi.array()
    .items(Joi.string().max(256))
    .max(100_000)
    .default([])
    .description('`jti` of refused tokens.'),
  not_before: Joi.object()
    .pattern(Joi.string().max(256), whole('Seconds since the epoch.', 0, 9_999_999_999))
    .default({})
    .description('Subject to epoch seconds: its tokens issued before are refused.'),
});

const secrets = section({
  key_file: text('32 bytes in base64, mode 0600: opens `enc:` values.'),
  key_fd: whole('File descriptor to read the key from instead.', 0, 1023),
  passphrase_file: text('Passphrase, mode 0600, stretched by scrypt.'),
  previous_key_file: text('The key before, while a rotation is under way.'),
  allow_plain_text: flag('Allow plain text secrets where NODE_ENV is production; on loopback only.', false),
});

const streams = section({
  flush_interval_ms: whole('How long updates are gathered before one write.', 0, 1000).default(5),
  auth_timeout_ms: whole('Time for the first message to bring a token.', 100, 60_000).default(5000),
  message_bytes_max: whole('Largest client message.', 512, 1_048_576).default(16_384),
  control_messages_per_second: whole('Client messages a second.', 1, 10_000).default(20),
  subscriptions_max: whole('Subscriptions of one socket.', 1, 100_000).default(3000),
  sockets_per_subject: whole('Sockets of one token subject.', 1, 100_000).default(100),
  sockets_per_address: whole('Sockets of one address.', 1, 100_000).default(1000),
  buffered_bytes_max: whole(
    'Unsent bytes, or a quarter of those sent and not read, after which quotes are conflated.',
    16_384,
    67_108_864,
  ).default(262_144),
  order_backlog_max: whole('Unsent order events after which a reader is closed (4408).', 10, 1_000_000).default(10_000),
  ring_size: whole('Order events kept per account for resume.', 10, 1_000_000).default(2048),
  allowed_origins: Joi.array().items(Joi.string()).default([]).description('Browser origins allowed; none by default.'),
  ping_interval_ms: whole('Between pings, and the time for the answer to one.', 1000, 120_000).default(5000),
});

const limits = section({
  body_bytes_max: whole('Largest request body of a route that has no size of its own.', 1024, 16_777_216).default(
    65_536,
  ),
  headers_timeout_ms: whole('Time for the request headers.', 100, 20_000).default(5000),
  request_timeout_ms: whole('Time for the whole request to arrive.', 100, 20_000).default(10_000),
  keep_alive_timeout_ms: whole('Idle time of a client connection.', 1000, 600_000).default(65_000),
  connections_max: whole('Connections of one worker.', 1, 1_000_000).default(10_000),
  in_flight_max: whole('Requests under way in one worker.', 1, 100_000).default(2000),
  per_subject_per_minute: whole('Requests a minute of one subject; absent means no limit.', 1, 10_000_000),
  per_account_per_minute: whole('Requests a minute to one account; absent means no limit.', 1, 10_000_000),
});

const telemetry = section({
  otlp_endpoint: url('OTLP/HTTP collector for traces, e.g. http://127.0.0.1:4318/v1/traces.', 'http', 'https'),
  trace_ratio: Joi.number()
    .min(0)
    .max(1)
    .default(1)
    .description('Share of the traces that begin here and are recorded; a caller that decided counts before it.'),
  webhooks: Joi.array()
    .items(
      Joi.object({
        url: url('Where alerts are posted.', 'http', 'https').required(),
        shape: Joi.string().valid('json', 'slack').default('json').description('Shape of the body.'),
      }),
    )
    .max(20)
    .default([])
    .description('Told about critical conditions when they begin and end: docs/operations.md.'),
});

const credential = (note: string): Joi.StringSchema => text(note).required();
const credentials = {
  api_key: credential("Alpaca's key id; plain or `enc:`."),
  secret_key: credential("Alpaca's secret; plain or `enc:`."),
  paper_trading: flag('Paper account.', true),
};
const accountId = Joi.string()
  .pattern(/^[\w-]{1,64}$/, 'letters, digits, _ and -, at most 64')
  .invalid('master')
  .required()
  .description('Our name of the account; quote it.');

export const accountKeys = {
  master_account: Joi.object(credentials).description('Serves market data; never trades.'),
  trading_accounts: Joi.array()
    .items(Joi.object({ account_id: accountId, ...credentials }))
    .max(5000)
    .description('Accounts to trade.'),
};

export const configSchema = Joi.object({
  server,
  admin,
  cluster,
  auth,
  alpaca: alpacaSection,
  secrets,
  risk: section({
    defaults: riskRules.default({}).description('Rules for every account.'),
    accounts: accountRisk.default({}).description('Rules by account, over the defaults.'),
  }),
  orders: ordersSection,
  market_data: marketDataSection,
  streams,
  limits,
  telemetry,
  data_dir: text('Journal and audit.').default('./data'),
  log: section({
    level: Joi.string()
      .valid('trace', 'debug', 'info', 'warn', 'error', 'fatal')
      .default('info')
      .description('Least level that is written.'),
  }),
  accounts_file: text('File with master_account and trading_accounts, instead of having them here.'),
  ...accountKeys,
}).required();

export const accountsFileSchema = Joi.object(accountKeys).required();
