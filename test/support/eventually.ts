/** Waits for a condition instead of for a time. */

export async function eventually(what: string, holds: () => boolean, withinMs = 8_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > end) throw new TypeError(`did not happen in ${String(withinMs)} ms: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}
