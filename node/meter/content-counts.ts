/** What a node sent for names since its start, and what that earned before royalties: both ends of an account's sum, beside the books. */
import { LRUCache } from 'lru-cache';
import { earnersKey, earnersOf, isSameAttribution, type Attribution } from '../../core/attribution.ts';
import { MAX_EARNING_NAMES } from '../../core/limits.ts';
import { ALL_BPS, amount, type PricePerMiB } from '../../core/units.ts';
import { NUMERATOR_BITS } from '../../ledger/accounting/index.ts';
import type { ContentCount } from './contract.ts';

const NO_PRICE = 0n as PricePerMiB;

/** One addition per frame while the same names get the same shares. Those that earned nothing for the longest are forgotten first. */
export class ContentCounts {
  readonly #counts = new LRUCache<string, { readonly bytes: number; readonly numerator: bigint }>({
    max: MAX_EARNING_NAMES,
  });
  #shares: Attribution | undefined;
  #price: PricePerMiB = NO_PRICE;
  #run = 0;

  add(shares: Attribution, frameBytes: number, price: PricePerMiB): void {
    if (this.#shares === undefined || price !== this.#price || !isSameAttribution(shares, this.#shares)) {
      this.#fold();
      this.#shares = shares;
      this.#price = price;
    }
    this.#run += frameBytes;
  }

  list(): readonly ContentCount[] {
    this.#fold();
    return Array.from(this.#counts.entries(), ([key, { bytes, numerator }]) => ({
      ...earnersOf(key),
      bytes,
      gross: amount((numerator / BigInt(ALL_BPS)) >> NUMERATOR_BITS),
    }));
  }

  #fold(): void {
    const bytes = this.#run;
    this.#run = 0;
    if (bytes === 0) return;
    for (const share of this.#shares ?? []) {
      const key = earnersKey(share);
      const before = this.#counts.get(key);
      const numerator = BigInt(bytes) * this.#price * BigInt(share.share);
      this.#counts.set(key, {
        bytes: (before?.bytes ?? 0) + bytes,
        numerator: (before?.numerator ?? 0n) + numerator,
      });
    }
  }
}
