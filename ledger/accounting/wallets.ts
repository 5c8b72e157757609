/** One figure that the books keep per wallet: it outlives the wallet's channels. */
import type { LedgerAddress } from '../../core/ids.ts';
import { MAX_DEBTORS } from '../../core/limits.ts';
import type { Change } from '../books/index.ts';
import { encodeWide } from './entry.ts';

export class WalletFigures {
  /** Least recently seen first. Each is above 0. */
  readonly #figures = new Map<LedgerAddress, bigint>();
  readonly #key: string;

  /** `key` is the prefix of the wallet's address on disk. */
  constructor(key: string) {
    this.#key = key;
  }

  get(wallet: LedgerAddress): bigint {
    return this.#figures.get(wallet) ?? 0n;
  }

  /** @returns what is to be written. */
  set(wallet: LedgerAddress, figure: bigint): Change {
    if (figure > 0n) this.#figures.set(wallet, figure);
    else this.#figures.delete(wallet);
    return [this.#key + wallet, figure > 0n ? encodeWide(figure) : undefined];
  }

  /**
   * Adds to it, and makes the wallet the last in the order. If there is no room for another, the one of those `absent` that was
   * heard of longest ago gives way (see MAX_DEBTORS). @returns what is to be written.
   */
  add(wallet: LedgerAddress, more: bigint, absent: () => (wallet: LedgerAddress) => boolean): Change[] {
    const total = this.get(wallet) + more;
    this.#figures.delete(wallet);
    const changes: Change[] = [];
    if (this.#figures.size >= MAX_DEBTORS) {
      const isAbsent = absent();
      for (const other of this.#figures.keys()) {
        if (!isAbsent(other)) continue;
        changes.push(this.set(other, 0n));
        break;
      }
    }
    changes.push(this.set(wallet, total));
    return changes;
  }
}
