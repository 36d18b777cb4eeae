/** What earlier owners of an account told of its orders, from the ring that they left: gap repair tells the rest. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { OrderEvent } from '../../kernel/domain/order-event.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { ToldBefore } from '../accounts/gap-repair.js';
import type { OrderDesk } from '../orders/order-desk.js';

/** The overlap of a repair is a minute; more events than this in a minute are told twice rather than never. */
const LOOKED_AT_MAX = 1_000;

/** `since`: from when on this data directory has watched; events before it are not ours to tell. */
export function toldBefore(desk: OrderDesk, accountId: AccountId, since: string): ToldBefore {
  const events = desk.eventsAfter(accountId, { epoch: 0, seq: 0 }).events.slice(-LOOKED_AT_MAX);
  const executions = new Set<string>();
  const lastEvents = new Map<string, string>();
  for (const event of events) note(event, executions, lastEvents);
  return {
    lastEventAt: events.at(-1)?.timestamp ?? since,
    knowsExecution: (executionId) => executions.has(executionId),
    lastEventOf: (orderId) => lastEvents.get(orderId),
  };
}

function note(event: OrderEvent, executions: Set<string>, lastEvents: Map<string, string>): void {
  const data = JSON.parse(event.data) as { execution_id?: unknown; order?: { id?: unknown } };
  if (typeof data.execution_id === 'string') executions.add(data.execution_id);
  if (typeof data.order?.id === 'string') lastEvents.set(data.order.id, event.event);
}

/** When this data directory was first used; written once, by whichever worker is first. */
export async function watchingSince(dataDir: string, clock: Clock): Promise<string> {
  const path = join(dataDir, 'watching-since');
  await writeFile(path, new Date(clock.now()).toISOString(), { flag: 'wx', mode: 0o600 }).catch(() => undefined);
  return (await readFile(path, 'utf8')).trim();
}
