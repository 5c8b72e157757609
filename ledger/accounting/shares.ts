/** What names earned and was not settled yet. */
import { MAX_EARNING_NAMES } from '../../core/limits.ts';
import type { Change } from '../books/index.ts';
import { encodeWide } from './entry.ts';
import { KEY } from './keys.ts';

/** What a name earned since it was last settled: a numerator, bytes x price. */
export type Shares = ReadonlyMap<string, bigint>;

/** Counts at once. What its methods return is to be written. */
export class NameShares {
  readonly #shares = new Map<string, bigint>();

  /** `MAX_EARNING_NAMES` at most. */
  get all(): Shares {
    return this.#shares;
  }

  /** Takes a record from disk. */
  load(name: string, numerator: bigint): void {
    this.#shares.set(name, numerator);
  }

  /** The name earned this, or was paid it where it is negative. A name for which there is no room earns nothing. */
  add(name: string, numerator: bigint): Change {
    const known = this.#shares.get(name);
    const full = known === undefined && this.#shares.size >= MAX_EARNING_NAMES;
    const total = full ? 0n : (known ?? 0n) + numerator;
    if (total > 0n) this.#shares.set(name, total);
    else this.#shares.delete(name);
    return [KEY.share + name, total > 0n ? encodeWide(total) : undefined];
  }

  /** Forgets it, if it is there. */
  drop(name: string): Change[] {
    return this.#shares.delete(name) ? [[KEY.share + name, undefined]] : [];
  }
}
