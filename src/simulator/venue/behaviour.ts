/** How the venue behaves when nothing is broken. Changed at run time with `control.behave({...})`. */
export interface Behaviour {
  /** `auto`: fills follow the market a few ms later. `instant`: before the POST is answered. `manual`: only `control.fill`. */
  fills: 'auto' | 'instant' | 'manual';
  /** From the answer's creation to the event `new`. */
  acknowledgeMs: number;
  /** From `new` to the first attempt to fill, and between the pieces of a partial fill. */
  fillDelayMs: number;
  /** From `pending_cancel` to `canceled`, and from `pending_replace` to `replaced`. */
  cancelMs: number;
  /** Chance that an execution takes only a random part of what is left (whole shares, at least one). */
  partialFillProbability: number;
  /** From an event's making to its frame on the trade stream, over and above everything else. */
  eventDelayMs: number;
  /** Positions are shown as they were so long ago. */
  positionsLagMs: number;
  /** FILL activities are listed so long after their fills. */
  activitiesLagMs: number;
  /** Closed: market orders wait as `accepted`, nothing fills, option market orders are refused. */
  isOpen: boolean;
}

export const NORMAL_BEHAVIOUR: Behaviour = {
  fills: 'auto',
  acknowledgeMs: 1,
  fillDelayMs: 4,
  cancelMs: 2,
  partialFillProbability: 0,
  eventDelayMs: 0,
  positionsLagMs: 0,
  activitiesLagMs: 0,
  isOpen: true,
};
