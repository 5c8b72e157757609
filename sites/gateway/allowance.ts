/** How much of something a page may ask for, and how much is left of it, said in headers (RateLimit header fields for HTTP, IETF draft). */
import type { Response } from 'express';
import { TokenBucket, TokenBuckets } from '../../core/rate.ts';

export interface AllowanceOptions {
  /** As the headers call it: letters and hyphens. */
  readonly what: string;
  readonly atOnce: number;
  /** How long each takes to be allowed again, milliseconds. */
  readonly restMillis: number;
  /** A monotonic clock, milliseconds. */
  readonly now?: (() => number) | undefined;
}

export class Allowance {
  readonly #options: AllowanceOptions;
  readonly #asked: TokenBuckets<string>;

  constructor(options: AllowanceOptions) {
    const { atOnce, restMillis, now = () => performance.now() } = options;
    this.#options = options;
    this.#asked = new TokenBuckets(() => new TokenBucket(1000 / restMillis, now, atOnce));
  }

  /** False: it is too much. Either way the answer says what is left to who asks. */
  take(who: string, response: Response): boolean {
    const { what, atOnce, restMillis } = this.#options;
    const bucket = this.#asked.of(who);
    const isAllowed = bucket.take();
    const { left } = bucket;
    response.set({
      'RateLimit-Policy': `"${what}";q=${atOnce};w=${Math.ceil((atOnce * restMillis) / 1000)}`,
      RateLimit: `"${what}";r=${left};t=${left > 0 ? 0 : Math.ceil(restMillis / 1000)}`,
      'Access-Control-Expose-Headers': 'RateLimit, RateLimit-Policy, Retry-After',
    });
    return isAllowed;
  }
}
