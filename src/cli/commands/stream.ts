/**
 * `opitios stream`: shows the client stream as lines of JSON on standard output. A socket that is cut off is opened
 * again, and order events go on after the last one shown.
 */
import { WebSocket } from 'ws';
import { PERMISSIONS } from '../../kernel/domain/permissions.js';
import { CommandFailure, EXIT } from '../failures.js';
import { openSession, type ConfigOption } from '../session.js';
import { say, warn } from '../terminal.js';
import { localToken } from './token.js';

export interface StreamOptions extends ConfigOption {
  readonly quotes?: string;
  readonly trades?: string;
  readonly bars?: string;
  readonly optionQuotes?: string;
  readonly optionTrades?: string;
  readonly orders?: string;
  readonly status?: string;
  /** Of a gateway elsewhere; by default the one that this configuration runs. */
  readonly url?: string;
  readonly token?: string;
}

interface Shown {
  readonly type?: string;
  readonly account_id?: string;
  readonly epoch?: number;
  readonly seq?: number;
  readonly to?: number;
}

const RETRY_MS = 1_000;
const TOKEN_LIFETIME_S = 12 * 3600;
/** Close codes after which the same token or the same wish would only fail again. */
const FINAL_CODES = new Set([4400, 4401, 4429]);

export async function stream(options: StreamOptions): Promise<void> {
  const wishes = wishesOf(options);
  if (Object.keys(wishes).length === 0) {
    throw new CommandFailure('nothing to show: name --quotes, --trades, --bars, --orders or --status', EXIT.invalid);
  }
  const { url, token } = await whereAndWho(options);
  const places = new Map<string, { epoch: number; seq: number }>();
  for (;;) {
    const code = await showUntilClosed(url, token, wishes, places);
    if (FINAL_CODES.has(code)) throw new CommandFailure(`the gateway closed the stream with ${code}`);
    warn(`the stream was closed with ${code}; trying again`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** A gateway elsewhere, with its token, needs no configuration here. */
async function whereAndWho({ url, token, ...options }: StreamOptions): Promise<{ url: string; token: string }> {
  if (url !== undefined && token !== undefined) return { url, token };
  const session = await openSession(options);
  const { host, port, tls } = session.config.server;
  const permissions = PERMISSIONS.filter((permission) => permission === 'market_data' || permission === 'read');
  const claims = { subject: 'opitios-cli', permissions, accounts: '*', lifetimeS: TOKEN_LIFETIME_S } as const;
  return {
    url: url ?? `${tls === undefined ? 'ws' : 'wss'}://${host}:${port}/api/v1/stream`,
    token: token ?? (await localToken(session, claims)),
  };
}

type Wishes = Readonly<Record<string, readonly string[]>>;

function wishesOf(options: StreamOptions): Wishes {
  const channels = {
    quotes: options.quotes,
    trades: options.trades,
    bars: options.bars,
    option_quotes: options.optionQuotes,
    option_trades: options.optionTrades,
    orders: options.orders,
    status: options.status,
  };
  return Object.fromEntries(
    Object.entries(channels).flatMap(([channel, text]) => {
      const names = (text ?? '').split(',').filter((name) => name !== '');
      return names.length === 0 ? [] : [[channel, names]];
    }),
  );
}

/** Resolves with the close code. @throws CommandFailure when the gateway refuses the socket */
function showUntilClosed(
  url: string,
  token: string,
  wishes: Wishes,
  places: Map<string, { epoch: number; seq: number }>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` }, followRedirects: false });
    socket.on('open', () => {
      socket.send(JSON.stringify({ action: 'subscribe', ...wishes }));
      for (const [accountId, place] of places) {
        socket.send(JSON.stringify({ action: 'resume', account_id: accountId, ...place }));
      }
    });
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as Shown | readonly Shown[];
      for (const record of [message].flat()) {
        say(JSON.stringify(record));
        notePlace(record, places);
      }
    });
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      reject(new CommandFailure(`the gateway refused the stream with HTTP ${String(response.statusCode)}`));
    });
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ECONNREFUSED' && places.size === 0) {
        reject(new CommandFailure(`nothing answers at ${url}: is the gateway running?`));
      }
    });
    socket.on('close', resolve);
  });
}

function notePlace(record: Shown, places: Map<string, { epoch: number; seq: number }>): void {
  const { type, account_id: accountId, epoch } = record;
  const seq = type === 'gap' ? record.to : record.seq;
  if ((type === 'order' || type === 'gap') && accountId !== undefined && epoch !== undefined && seq !== undefined) {
    places.set(accountId, { epoch, seq });
  }
}
