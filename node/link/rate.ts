/** A token bucket that looks at the clock only when it has run dry: once in `perSecond` events. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;

  /** `now` is a monotonic clock in milliseconds. The bucket holds one second's worth. */
  constructor(perSecond: number, now: () => number) {
    this.#perSecond = perSecond;
    this.#now = now;
    this.#tokens = perSecond;
    this.#filledAt = now();
  }

  /** False when the event comes too soon. */
  take(): boolean {
    if (this.#tokens < 1) {
      const now = this.#now();
      this.#tokens = Math.min(this.#perSecond, ((now - this.#filledAt) / 1000) * this.#perSecond);
      if (this.#tokens < 1) return false;
      this.#filledAt = now;
    }
    this.#tokens -= 1;
    return true;
  }
}
