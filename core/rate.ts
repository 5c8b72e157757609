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

  /** Takes a token. False, and takes nothing, if the event comes too soon. */
  take(tokens: number = 1): boolean {
    if (this.#tokens < tokens) {
      this.#fill();
      if (this.#tokens < tokens) return false;
    }
    this.#tokens -= tokens;
    return true;
  }

  /** Whole tokens that may be taken now. */
  get left(): number {
    this.#fill();
    return Math.floor(this.#tokens);
  }

  /** True if it is as full as when it was made. */
  get isFull(): boolean {
    this.#fill();
    return this.#tokens === this.#capacity;
  }

  #fill(): void {
    const now = this.#now();
    this.#tokens = Math.min(this.#capacity, this.#tokens + ((now - this.#filledAt) / 1000) * this.#perSecond);
    this.#filledAt = now;
  }
}

/** Number of buckets at which full ones are first removed. */
const FIRST_SWEEP = 64;

/** A bucket per key. A full bucket is the same as a new one, so it is forgotten. */
export class TokenBuckets<K> {
  readonly #make: () => TokenBucket;
  readonly #buckets = new Map<K, TokenBucket>();
  #sweepAt = FIRST_SWEEP;

  constructor(make: () => TokenBucket) {
    this.#make = make;
  }

  get size(): number {
    return this.#buckets.size;
  }

  of(key: K): TokenBucket {
    const known = this.#buckets.get(key);
    if (known !== undefined) return known;
    if (this.#buckets.size >= this.#sweepAt) this.#sweep();
    const bucket = this.#make();
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** Removes full ones again at twice the number that is left, so that the cost per new bucket stays small. */
  #sweep(): void {
    for (const [key, bucket] of this.#buckets) if (bucket.isFull) this.#buckets.delete(key);
    this.#sweepAt = Math.max(FIRST_SWEEP, 2 * this.#buckets.size);
  }
}
