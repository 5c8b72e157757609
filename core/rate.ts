/** A token bucket that looks at the clock only when it has run dry. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #capacity: number;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;

  /** `now` is a monotonic clock in milliseconds. The bucket holds one second's worth unless `capacity` says otherwise, and is full. */
  constructor(perSecond: number, now: () => number, capacity: number = perSecond) {
    this.#perSecond = perSecond;
    this.#capacity = capacity;
    this.#now = now;
    this.#tokens = capacity;
    this.#filledAt = now();
  }

  /** False when the event comes too soon: it takes nothing then. */
  take(tokens: number = 1): boolean {
    if (this.#tokens < tokens) {
      const now = this.#now();
      this.#tokens = Math.min(this.#capacity, this.#tokens + ((now - this.#filledAt) / 1000) * this.#perSecond);
      this.#filledAt = now;
      if (this.#tokens < tokens) return false;
    }
    this.#tokens -= tokens;
    return true;
  }
}
