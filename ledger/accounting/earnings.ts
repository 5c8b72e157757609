/** What content names earned on one account since its last receipt. One addition a frame while the name stays the same. */
import type { PricePerMiB } from '../../core/units.ts';

const NO_PRICE = 0n as PricePerMiB;

export class Earnings {
  #totals = new Map<string, bigint>();
  #name = '';
  #price: PricePerMiB = NO_PRICE;
  /** Bytes of the present name at the present price. */
  #run = 0;

  add(name: string, frameBytes: number, price: PricePerMiB): void {
    if (name !== this.#name || price !== this.#price) {
      this.#fold();
      this.#name = name;
      this.#price = price;
    }
    this.#run += frameBytes;
  }

  /** All numerators so far; begins anew. */
  take(): ReadonlyMap<string, bigint> {
    this.#fold();
    const totals = this.#totals;
    if (totals.size > 0) this.#totals = new Map();
    return totals;
  }

  #fold(): void {
    if (this.#run === 0) return;
    const earned = BigInt(this.#run) * this.#price;
    this.#run = 0;
    if (earned > 0n) this.#totals.set(this.#name, (this.#totals.get(this.#name) ?? 0n) + earned);
  }
}
