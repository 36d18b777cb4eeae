/**
 * A large body leaves in slices, each in a turn of the event loop of its own: what the kernel copies at once, nobody else's
 * request waits for.
 */
import type { ServerResponse } from 'node:http';

export const SLICE_BYTES = 256 << 10;

/** After the head. Ends the response, unless the client goes first. */
export function sendInSlices(res: ServerResponse, body: Uint8Array, from = 0): void {
  if (res.destroyed) return;
  const rest = from + SLICE_BYTES;
  if (rest >= body.byteLength) {
    res.end(body.subarray(from));
    return;
  }
  // Called when the kernel has taken the slice, or with the error that ended the connection.
  res.write(body.subarray(from, rest), (cause) => {
    if (cause === null || cause === undefined) setImmediate(sendInSlices, res, body, rest);
  });
}
