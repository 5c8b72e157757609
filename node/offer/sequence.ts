/**
 * When our own offers begin and expire, in steps so coarse that they show neither when a node started nor how its
 * clock runs.
 */
import { OFFER_STEP_MILLIS } from '../../core/limits.ts';
import { U64_MAX, unixMillis, type UnixMillis } from '../../core/units.ts';

/** The expiry of an offer that is signed now and valid for at least this long. */
export function offerExpiry(now: UnixMillis, lifeMillis: number): UnixMillis {
  return unixMillis(Math.ceil((now + lifeMillis) / OFFER_STEP_MILLIS) * OFFER_STEP_MILLIS);
}

/** The sequence of our own offers: the clock's step, unless an earlier offer of ours was at it or ahead of it. */
export class OfferSequence {
  #last = 0n;

  /** The sequence of an offer that is signed now: above each one before. */
  next(now: UnixMillis): bigint {
    const step = BigInt(now - (now % OFFER_STEP_MILLIS));
    const wanted = step > this.#last ? step : this.#last + 1n;
    this.#last = wanted > U64_MAX ? U64_MAX : wanted;
    return this.#last;
  }

  /** Others know an offer of ours with this sequence. True if the next one must be signed now to be accepted. */
  isBehind(known: bigint): boolean {
    if (known < this.#last) return false;
    const renew = known > this.#last;
    this.#last = known;
    return renew;
  }
}
