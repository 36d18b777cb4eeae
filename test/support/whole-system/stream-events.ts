/** Order events as a client of the stream reads them: from the beginning, on a socket of its own. */
import { WebSocket } from 'ws';
import type { GatewayProcess } from '../gateway-process.js';

export interface StreamEvent {
  readonly accountId: string;
  readonly epoch: number;
  readonly seq: number;
  readonly event: string;
  readonly orderId: string;
  /** What this event adds to the order's filled quantity; negative for a bust. */
  readonly filledBy: number;
  readonly reconciled: boolean;
}

/** Resumes every account from 0/0 and resolves when each has been quiet for a moment. Gaps are thrown. */
export async function eventsFromTheBeginning(gateway: GatewayProcess, quietMs = 300): Promise<readonly StreamEvent[]> {
  const authorization = `Bearer ${await gateway.token()}`;
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/api/v1/stream`, { headers: { authorization } });
  const events: StreamEvent[] = [];
  const errors: string[] = [];
  let lastAt = performance.now();
  const subscribed = new Set<string>();
  socket.on('message', (data: Buffer) => {
    lastAt = performance.now();
    const value = JSON.parse(data.toString()) as Message | Message[];
    for (const message of Array.isArray(value) ? value : [value]) {
      if (message.type === 'subscription') for (const id of message.orders ?? []) subscribed.add(id);
      if (message.type === 'error') errors.push(JSON.stringify(message));
      // Resuming from the very beginning may name what lies before the first kept event of an epoch.
      if (message.type === 'gap' && message.reason !== 'epoch' && message.reason !== undefined)
        errors.push(JSON.stringify(message));
      if (message.type === 'order') events.push(eventOf(message));
    }
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  for (const accountId of gateway.accountIds)
    socket.send(JSON.stringify({ action: 'resume', account_id: accountId, epoch: 0, seq: 0 }));
  const end = performance.now() + 60_000;
  const isDone = (): boolean =>
    gateway.accountIds.every((id) => subscribed.has(id)) && performance.now() - lastAt > quietMs;
  while (!isDone() && errors.length === 0 && performance.now() < end)
    await new Promise((resolve) => setTimeout(resolve, 20));
  socket.terminate();
  if (errors.length > 0) throw new TypeError(errors.join('; '));
  return events;
}

interface Message {
  readonly type: string;
  readonly account_id: string;
  readonly epoch: number;
  readonly seq: number;
  readonly event: string;
  readonly reason?: string;
  readonly orders?: readonly string[];
  readonly qty?: string;
  readonly legs?: readonly unknown[];
  readonly reconciled?: boolean;
  readonly order: { readonly id: string };
}

function eventOf(message: Message): StreamEvent {
  const { account_id: accountId, epoch, seq, event, order } = message;
  const sign = event === 'fill' || event === 'partial_fill' ? 1 : event === 'trade_bust' ? -1 : 0;
  const filledBy = sign * Number(message.qty ?? 0);
  return { accountId, epoch, seq, event, orderId: order.id, filledBy, reconciled: message.reconciled === true };
}

/** Sums of the fills that are published twice under one number, or numbers that are missing within an epoch. */
export function holesIn(events: readonly StreamEvent[]): readonly string[] {
  const holes: string[] = [];
  const last = new Map<string, number>();
  for (const { accountId, epoch, seq } of events) {
    const key = `${accountId} ${epoch}`;
    const before = last.get(key);
    if (before !== undefined && seq !== before + 1) holes.push(`${key}: ${before} then ${seq}`);
    last.set(key, seq);
  }
  return holes;
}
