/**
 * Counts the bytes of one direction of one account and what they cost, exactly. The cost is kept as a numerator:
 * bytes x price, summed; shifted right by 20 it is base units. Frames of one price in a row are one run, so that a
 * frame costs an addition of two small integers; and because a run's price is known, the cost at any earlier byte
 * since the last receipt can still be told.
 */
import type { PricePerMiB } from '../../core/units.ts';

/** Fraction bits of a numerator: prices are per MiB. */
export const NUMERATOR_BITS = 20n;
/** The most numerator that a run of small integers carries exactly. */
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);
/**
 * Price changes remembered between two receipts, about 100 bytes each. The price hardly ever changes within a pair; a
 * payer signs at a quarter of this, and one that does not can only make its own receipt unverifiable.
 */
export const MAX_PRICE_RUNS = 1024;
/** Above this price a frame's cost may leave the safe integers; such frames are counted in bigint, one by one. */
const MAX_FAST_PRICE = 1n << 37n;

interface Run {
  readonly bytes: bigint;
  readonly numerator: bigint;
  readonly price: bigint;
}

export class Tally {
  /** Price of the current run; `rate` is the same as a number, NaN when it is too high for one. */
  price: PricePerMiB = 0n as PricePerMiB;
  rate = 0;
  /** Bytes of the current run. */
  run = 0;
  readonly #remembers: boolean;
  #start: Run;
  #earlier: Run[] = [];

  /** Begins at what the last agreed receipt said. One that does not `remember` answers `at` for the present run only. */
  constructor(bytes: bigint, numerator: bigint, remember: boolean) {
    this.#start = { bytes, numerator, price: 0n };
    this.#remembers = remember;
  }

  get bytes(): bigint {
    return this.#start.bytes + BigInt(this.run);
  }

  get numerator(): bigint {
    return this.#start.numerator + BigInt(this.run) * this.price;
  }

  /** Price changes since the last `trim`. */
  get changes(): number {
    return this.#earlier.length;
  }

  /** Begins a run at another price. */
  turn(price: PricePerMiB): void {
    const next: Run = { bytes: this.bytes, numerator: this.numerator, price };
    if (this.run > 0 && this.#remembers) {
      this.#earlier.push(this.#start);
      if (this.#earlier.length > MAX_PRICE_RUNS) this.#earlier.shift();
    }
    this.#start = next;
    this.run = 0;
    this.price = price;
    this.rate = price <= MAX_FAST_PRICE ? Number(price) : Number.NaN;
  }

  add(frameBytes: number, price: PricePerMiB): void {
    if (price !== this.price) this.turn(price);
    this.run += frameBytes;
  }

  /** The numerator when `bytes` had been counted; undefined when that is not reached yet or too long ago. */
  at(bytes: bigint): bigint | undefined {
    if (bytes > this.bytes) return undefined;
    if (bytes >= this.#start.bytes) return inRun(this.#start, bytes);
    for (let i = this.#earlier.length - 1; i >= 0; i -= 1) {
      const run = this.#earlier[i];
      if (run !== undefined && bytes >= run.bytes) return inRun(run, bytes);
    }
    return undefined;
  }

  /** True if the next change makes the oldest one be forgotten. */
  get full(): boolean {
    return this.#earlier.length >= MAX_PRICE_RUNS - 1;
  }

  /** Forgets what can no longer be asked for: everything before `bytes`. */
  trim(bytes: bigint): void {
    if (this.#earlier.length === 0) return;
    if (bytes >= this.#start.bytes) {
      this.#earlier = [];
      return;
    }
    const keep = this.#earlier.findLastIndex((run) => run.bytes <= bytes);
    if (keep > 0) this.#earlier.splice(0, keep);
  }
}

function inRun(run: Run, bytes: bigint): bigint {
  return run.numerator + (bytes - run.bytes) * run.price;
}

/** What remains until a check is due, as a number that may be counted down exactly. Negative means now. */
export function headroom(numerator: bigint): number {
  if (numerator < 0n) return -1;
  return Number(numerator > SAFE ? SAFE : numerator);
}
