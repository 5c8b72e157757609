/** Which names may be paid: those that the ledger showed. The books know names that nobody registered, too. */
import { earnersOf, namesIn } from '../../core/attribution.ts';
import { MAX_EARNING_NAMES, MAX_NAMES_LOOKED_UP } from '../../core/limits.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { amount } from '../../core/units.ts';
import type { UnixMillis } from '../../core/units.ts';
import type { BookStore } from '../accounting/index.ts';
import { NUMERATOR_BITS } from '../accounting/index.ts';
import type { ContentShare, LedgerReader } from '../contract.ts';
import type { Patience } from './patience.ts';

/** A name that the ledger does not know is asked for once more after this, then forgotten: its node may have lagged behind. */
const UNKNOWN_MILLIS = 60 * 60 * 1000;

export interface PayableNamesParts {
  readonly store: Pick<BookStore, 'shares' | 'dropShare' | 'dropReferrer'>;
  readonly reader: Pick<LedgerReader, 'findNames'>;
  readonly patience: Patience;
  readonly clock: Clock;
  readonly log: Log;
  /** Cap of a name's royalty, basis points. */
  readonly maxRoyaltyBps: number;
}

export class PayableNames {
  readonly #parts: PayableNamesParts;
  /** Names the ledger showed: a registered name is never removed from it. */
  readonly #known = new Set<string>();
  /** Names it did not, by when it was first asked. */
  readonly #unknown = new Map<string, UnixMillis>();
  #learning: Promise<void> | undefined;

  constructor(parts: PayableNamesParts) {
    this.#parts = parts;
  }

  /** What names may be paid, with whom: whole base units, names and referrers that the ledger showed. Asks nobody. */
  payable(): readonly ContentShare[] {
    const { store, maxRoyaltyBps } = this.#parts;
    const payable: ContentShare[] = [];
    for (const [key, numerator] of store.shares) {
      const gross = amount(numerator >> NUMERATOR_BITS);
      if (gross === 0n) continue;
      const earners = earnersOf(key);
      if (namesIn([earners]).every((name) => this.#known.has(name))) payable.push({ ...earners, gross, maxRoyaltyBps });
    }
    return payable;
  }

  /**
   * Asks for the greatest earners not asked for yet: one request, and none while there are no such names. Names that stay
   * unknown are dropped from the books; what they earned stays with the seller. A referrer is a visitor's word and is asked for once:
   * if the ledger does not show it, the name earned alone, now. Errors as `findNames`.
   */
  learn(stop: AbortSignal): Promise<void> {
    this.#learning ??= this.#learn(stop).finally(() => {
      this.#learning = undefined;
    });
    return this.#learning;
  }

  /** Resolves once nothing is being asked. */
  async idle(): Promise<void> {
    await Promise.allSettled([this.#learning]);
  }

  async #learn(stop: AbortSignal): Promise<void> {
    const { store, reader, patience, clock, log } = this.#parts;
    this.#prune();
    this.#withoutReferrers(this.#unknown);
    const now = clock.now();
    const asked = this.#greatestUnasked(now);
    if (asked.length === 0) return;
    const found = await patience.retried(stop, () => reader.findNames(asked));
    const registered = new Set(found.map(({ name }) => name));
    const nobody = new Set<string>();
    for (const name of asked) {
      if (registered.has(name)) {
        this.#known.add(name);
        this.#unknown.delete(name);
        continue;
      }
      nobody.add(name);
      if (this.#unknown.delete(name)) {
        store.dropShare(name);
        log.info({ name }, 'a name is not registered and is paid nothing');
      } else {
        this.#unknown.set(name, now);
      }
    }
    this.#withoutReferrers(nobody);
    this.#prune();
  }

  /** Nobody registered these names: who named them as referrers cannot keep a name from what it earned. */
  #withoutReferrers(nobody: Pick<ReadonlySet<string>, 'has'>): void {
    const { store } = this.#parts;
    for (const key of Array.from(store.shares.keys())) {
      const { referrer } = earnersOf(key);
      if (referrer !== undefined && nobody.has(referrer)) store.dropReferrer(key);
    }
  }

  #greatestUnasked(now: UnixMillis): readonly string[] {
    const unasked = new Map<string, bigint>();
    for (const [key, numerator] of this.#parts.store.shares) {
      if (numerator >> NUMERATOR_BITS === 0n) continue;
      for (const name of namesIn([earnersOf(key)])) {
        if (this.#isUnasked(name, now)) unasked.set(name, (unasked.get(name) ?? 0n) + numerator);
      }
    }
    return Array.from(unasked)
      .toSorted(([, a], [, b]) => (a === b ? 0 : a > b ? -1 : 1))
      .slice(0, MAX_NAMES_LOOKED_UP)
      .map(([name]) => name);
  }

  #isUnasked(name: string, now: UnixMillis): boolean {
    if (this.#known.has(name)) return false;
    const since = this.#unknown.get(name);
    return since === undefined || now - since >= UNKNOWN_MILLIS;
  }

  /** Both memories stay within what the books hold. */
  #prune(): void {
    const earners = Array.from(this.#parts.store.shares.keys(), earnersOf);
    const names = new Set(earners.map(({ name }) => name));
    for (const name of this.#unknown.keys()) if (!names.has(name)) this.#unknown.delete(name);
    if (this.#known.size < MAX_EARNING_NAMES) return;
    const mentioned = new Set(namesIn(earners));
    for (const name of this.#known) if (!mentioned.has(name)) this.#known.delete(name);
  }
}
