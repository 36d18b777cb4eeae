/** A thread entry whose work never ends. */
export function work() {
  return new Promise(() => undefined);
}
