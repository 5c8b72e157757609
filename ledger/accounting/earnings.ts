/** What content names earned on one account and no receipt has paid for yet. One addition per frame while the name stays the same. */
import type { PricePerMiB } from '../../core/units.ts';

const NO_PRICE = 0n as PricePerMiB;

export class Earnings {
  #totals = new Map<string, bigint>();
  #name = '';
  #price: PricePerMiB = NO_PRICE;
  /** Bytes of the current name at the current price. */
  #run = 0;

  add(name: string, frameBytes: number, price: PricePerMiB): void {
    if (name !== this.#name || price !== this.#price) {
      this.#fold();
      this.#name = name;
      this.#price = price;
    }
    this.#run += frameBytes;
  }

  /**
   * What names get of a receipt that pays `paid` of `due`, both numerators: the same part of what each earned, at most `paid` in all.
   * The rest stays, for the next receipt.
   */
  take(paid: bigint, due: bigint): ReadonlyMap<string, bigint> {
    this.#fold();
    const totals = this.#totals;
    if (totals.size === 0) return totals;
    let whole = due;
    let earned = 0n;
    for (const numerator of totals.values()) earned += numerator;
    if (whole < earned) whole = earned;
    if (paid >= whole) {
      this.#totals = new Map();
      return totals;
    }
    const taken = new Map<string, bigint>();
    for (const [name, numerator] of totals) {
      const part = (numerator * paid) / whole;
      if (part === 0n) continue;
      taken.set(name, part);
      totals.set(name, numerator - part);
    }
    return taken;
  }

  /** Drops it: nobody pays for it any more. */
  drop(): void {
    this.#run = 0;
    if (this.#totals.size > 0) this.#totals = new Map();
  }

  #fold(): void {
    if (this.#run === 0) return;
    const earned = BigInt(this.#run) * this.#price;
    this.#run = 0;
    if (earned > 0n) this.#totals.set(this.#name, (this.#totals.get(this.#name) ?? 0n) + earned);
  }
}
