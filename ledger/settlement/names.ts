/** Which names may be paid: those that the ledger showed. The books know names that nobody registered, too. */
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
  readonly store: Pick<BookStore, 'shares' | 'dropShare'>;
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

  /** What each name may be paid: whole base units, names that the ledger showed. Asks nobody. */
  payable(): readonly ContentShare[] {
    const { store, maxRoyaltyBps } = this.#parts;
    const payable: ContentShare[] = [];
    for (const [name, numerator] of store.shares) {
      const gross = amount(numerator >> NUMERATOR_BITS);
      if (gross > 0n && this.#known.has(name)) payable.push({ name, gross, maxRoyaltyBps });
    }
    return payable;
  }

  /**
   * Asks for the greatest earners not asked for yet: one request, and none while there are no such names. Names that stay
   * unknown are dropped from the books; what they earned stays with the seller. Errors as `findNames`.
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
    const now = clock.now();
    const asked = this.#greatestUnasked(now);
    if (asked.length === 0) return;
    const found = await patience.retried(stop, () => reader.findNames(asked));
    const registered = new Set(found.map(({ name }) => name));
    for (const name of asked) {
      if (registered.has(name)) {
        this.#known.add(name);
        this.#unknown.delete(name);
      } else if (this.#unknown.delete(name)) {
        store.dropShare(name);
        log.info({ name }, 'a name is not registered and is paid nothing');
      } else {
        this.#unknown.set(name, now);
      }
    }
  }

  #greatestUnasked(now: UnixMillis): readonly string[] {
    const unasked = Array.from(this.#parts.store.shares).filter(([name, numerator]) => {
      if (numerator >> NUMERATOR_BITS === 0n || this.#known.has(name)) return false;
      const since = this.#unknown.get(name);
      return since === undefined || now - since >= UNKNOWN_MILLIS;
    });
    return unasked
      .toSorted(([, a], [, b]) => (a === b ? 0 : a > b ? -1 : 1))
      .slice(0, MAX_NAMES_LOOKED_UP)
      .map(([name]) => name);
  }

  /** Both memories stay within what the books hold. */
  #prune(): void {
    const { shares } = this.#parts.store;
    for (const name of this.#unknown.keys()) if (!shares.has(name)) this.#unknown.delete(name);
    if (this.#known.size < MAX_EARNING_NAMES) return;
    for (const name of this.#known) if (!shares.has(name)) this.#known.delete(name);
  }
}
