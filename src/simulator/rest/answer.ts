/** What a route decided to say. Nothing is written here: the frame sends it, late or broken if a switch says so. */
import { refusalBody, type Refusal } from '../venue/refusal.js';

export interface Answer {
  readonly status: number;
  /** undefined: no body (204). */
  readonly body: string | undefined;
  /** Orders that came to exist by this request; the ledger remembers them. */
  readonly created?: readonly string[];
}

export function json(value: unknown, status = 200): Answer {
  return { status, body: JSON.stringify(value) };
}

export function refused(refusal: Refusal): Answer {
  return { status: refusal.status, body: JSON.stringify(refusalBody(refusal)) };
}

export const NO_CONTENT: Answer = { status: 204, body: undefined };
