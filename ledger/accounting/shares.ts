/** What names earned and was not settled yet, by who showed them. */
import { earnersOf } from '../../core/attribution.ts';
import { MAX_EARNING_NAMES, MAX_EARNING_REFERRALS, MAX_REFERRERS_PER_NAME } from '../../core/limits.ts';
import type { Change } from '../books/index.ts';
import { encodeWide } from './entry.ts';
import { KEY } from './keys.ts';

/** What was earned since it was last settled, by `earnersKey`: a numerator, bytes x price. */
export type Shares = ReadonlyMap<string, bigint>;

/**
 * Counts at once. What its methods return is to be written.
 *
 * Which site showed a name is the visitor's word, and a visitor may invent as many as it likes. So referrers never take the room of a
 * name, nor what a name earned: where there are too many, the name earns alone what the least of them brought.
 */
export class NameShares {
  readonly #shares = new Map<string, bigint>();
  /** Of each name that earned: the keys of its referrers. */
  readonly #referrals = new Map<string, Set<string>>();
  /** How many those are together. */
  #count = 0;

  /** Of `MAX_EARNING_NAMES` names at most, and with `MAX_EARNING_REFERRALS` referrers more. */
  get all(): Shares {
    return this.#shares;
  }

  /** Takes a record from disk. */
  load(key: string, numerator: bigint): void {
    this.#set(key, numerator);
  }

  /** They were paid this. What is not there any more was made the name's own while it was being paid. */
  pay(key: string, numerator: bigint): Change[] {
    const { name } = earnersOf(key);
    const here = this.#earned(key);
    if (numerator <= here || key === name) return [this.#set(key, here - numerator)];
    return [this.#set(key, 0n), this.#more(name, here - numerator)];
  }

  /** They earned this, more than 0. A name for which there is no room earns nothing. */
  add(key: string, numerator: bigint): Change[] {
    const { name, referrer } = earnersOf(key);
    const known = this.#shares.get(key);
    if (known !== undefined) return [this.#set(key, known + numerator)];
    const referrals = this.#referrals.get(name);
    if (referrals === undefined && this.#referrals.size >= MAX_EARNING_NAMES) return [];
    const isFull = this.#count >= MAX_EARNING_REFERRALS || (referrals?.size ?? 0) >= MAX_REFERRERS_PER_NAME;
    if (referrer === undefined || !isFull) return [this.#set(key, numerator)];
    const least = this.#least(referrals ?? new Set());
    if (least === undefined || this.#earned(least) >= numerator) return [this.#more(name, numerator)];
    return [...this.withoutReferrer(least), this.#set(key, numerator)];
  }

  /** The name earned it alone: nobody is registered by the referrer's name, or there is no room for it. */
  withoutReferrer(key: string): Change[] {
    const earned = this.#earned(key);
    if (earned === 0n) return [];
    // First the sum, so that the name is never without a place.
    const more = this.#more(earnersOf(key).name, earned);
    return [more, this.#set(key, 0n)];
  }

  /** Forgets what it earned, whoever showed it. */
  drop(name: string): Change[] {
    const keys = [name, ...(this.#referrals.get(name) ?? [])].filter((key) => this.#shares.has(key));
    return keys.map((key) => this.#set(key, 0n));
  }

  #earned(key: string): bigint {
    return this.#shares.get(key) ?? 0n;
  }

  #more(name: string, numerator: bigint): Change {
    return this.#set(name, this.#earned(name) + numerator);
  }

  #least(keys: Iterable<string>): string | undefined {
    let least: string | undefined;
    for (const key of keys) if (least === undefined || this.#earned(key) < this.#earned(least)) least = key;
    return least;
  }

  #set(key: string, total: bigint): Change {
    const { name, referrer } = earnersOf(key);
    const referrals = this.#referrals.get(name) ?? new Set();
    if (total > 0n) {
      this.#shares.set(key, total);
      if (referrer !== undefined && !referrals.has(key)) {
        referrals.add(key);
        this.#count += 1;
      }
      this.#referrals.set(name, referrals);
    } else {
      this.#shares.delete(key);
      if (referrals.delete(key)) this.#count -= 1;
      if (referrals.size === 0 && !this.#shares.has(name)) this.#referrals.delete(name);
    }
    return [KEY.share + key, total > 0n ? encodeWide(total) : undefined];
  }
}
