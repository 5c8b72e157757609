/** The sequence of our own offers: the clock's milliseconds, unless an earlier offer of ours was ahead of them. */
import { U64_MAX, type UnixMillis } from '../../core/units.ts';

export class OfferSequence {
  #last = 0n;

  /** The sequence of an offer that is signed now: above each one before. */
  next(now: UnixMillis): bigint {
    const wanted = BigInt(now) > this.#last ? BigInt(now) : this.#last + 1n;
    this.#last = wanted > U64_MAX ? U64_MAX : wanted;
    return this.#last;
  }

  /** Others know one of ours with this sequence. True when the next has to be signed now to be heard. */
  isBehind(known: bigint): boolean {
    if (known < this.#last) return false;
    const renew = known > this.#last;
    this.#last = known;
    return renew;
  }
}
