/** Times that the event loop's watch and its witness share. */
export const BEAT_MS = 100;
/** A loop that misses its beats for this long is said to be blocked. */
export const BLOCKED_MS = 500;
