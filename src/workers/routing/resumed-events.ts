/** What a client missed, put together from the owner's ring and the streams that all instances share. Pure but for `within`. */
import { GatewayError } from '../../kernel/domain/errors.js';
import type { EventPosition, OrderEvent, ResumedEvents } from '../../kernel/domain/order-event.js';
import type { Clock } from '../../kernel/runtime/clock.js';

export function isAfter(event: EventPosition, after: EventPosition): boolean {
  return event.epoch === after.epoch ? event.seq > after.seq : event.epoch > after.epoch;
}

/** Events of several sources as one answer, what lies between them and is nowhere said as gaps. */
export function resumedFrom(after: EventPosition, sources: readonly (readonly OrderEvent[])[]): ResumedEvents {
  const byPlace = new Map(sources.flat().map((event) => [`${event.epoch}/${event.seq}`, event]));
  const events = [...byPlace.values()].filter((event) => isAfter(event, after));
  events.sort((a, b) => a.epoch - b.epoch || a.seq - b.seq);
  const gaps: { epoch: number; from: number; to: number }[] = [];
  let last = after;
  for (const { epoch, seq } of events) {
    const next = epoch === last.epoch ? last.seq + 1 : 1;
    // Before the first place nobody was told anything, so nothing is missing.
    if (seq > next && after.epoch > 0) gaps.push({ epoch, from: next, to: seq - 1 });
    last = { epoch, seq };
  }
  return { events, gaps };
}

/** @throws GatewayError DEADLINE_EXCEEDED, or what the promise rejects with */
export async function within<T>(promise: Promise<T>, deadlineMs: number, clock: Clock): Promise<T> {
  let cancel: (() => void) | undefined;
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(deadlineMs, () => reject(new GatewayError('DEADLINE_EXCEEDED')));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel?.();
    promise.catch(() => undefined);
  }
}
