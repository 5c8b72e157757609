/** How many CREATEs of others we answer: each costs a handshake of three X25519 operations. */
import { MAX_CREATES_PER_SECOND, MAX_CREATES_PER_SECOND_AND_LINK } from '../../core/limits.ts';
import { TokenBucket } from '../../core/rate.ts';

/** One for a node. */
export class CreateRate {
  readonly #now: () => number;
  readonly #all: TokenBucket;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#all = new TokenBucket(MAX_CREATES_PER_SECOND, now);
  }

  /** For one link. Its `take` is false when a CREATE comes too soon: answer it with RESOURCE and do nothing else for it. */
  forLink(): { take(): boolean } {
    const own = new TokenBucket(MAX_CREATES_PER_SECOND_AND_LINK, this.#now);
    // The link's own first: one that asks too often takes nothing from the others.
    return { take: () => own.take() && this.#all.take() };
  }
}
