/** A token bucket for a client's messages: bursts of two seconds' worth pass, a flood does not. */
export class ControlLimit {
  #tokens: number;
  #asOf: number;

  constructor(
    private readonly perSecond: number,
    nowMs: number,
  ) {
    this.#tokens = perSecond * 2;
    this.#asOf = nowMs;
  }

  allow(nowMs: number): boolean {
    this.#tokens = Math.min(this.perSecond * 2, this.#tokens + ((nowMs - this.#asOf) / 1000) * this.perSecond);
    this.#asOf = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
