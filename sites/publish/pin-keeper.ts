/** Removes content that the chain no longer names, once nobody fetches it any more. */
import { equalBytes } from '../../core/codec.ts';
import {
  MAX_SUPERSEDED_BYTES,
  MAX_SUPERSEDED_PARTS,
  ORPHAN_BLOCK_MILLIS,
  SUPERSEDED_MOST_MILLIS,
  SUPERSEDED_ROOT_MILLIS,
  SUPERSEDED_USE_MILLIS,
} from '../../core/limits.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import { isManifestCodec } from '../blocks/index.ts';
import type { BlockStore, Pin } from '../blocks/contract.ts';

export interface PinKeeperOptions {
  readonly store: BlockStore;
  readonly ledger: Pick<LedgerReader, 'name'>;
  readonly clock?: Clock;
  readonly log?: Log;
}

export interface PinKeeper {
  /**
   * Checks every kept name once: roots, and manifests in the same way. One older than the one on chain is removed SUPERSEDED_ROOT_MILLIS
   * after it was first seen to be, or later if it is still being fetched (within the limits of time and bytes of core/limits.ts); a younger one (a publish whose
   * transaction is on its way) may wait for ORPHAN_BLOCK_MILLIS. Never throws: what the ledger cannot answer now is left for the next time.
   */
  sweep(): Promise<void>;
  /** Somebody fetches what only this root of its name has. */
  fetched(pin: Pin): void;
}

/** Looking at every block on disk takes seconds in a big store: once an hour is enough for what may wait a day. */
const COLLECT_EVERY_MILLIS = 60 * 60_000;

/** Call `sweep` every minute or so. */
export function createPinKeeper(options: PinKeeperOptions): PinKeeper {
  return new Keeper(options);
}

/** What is known of a kept root; gone with it, and with a restart. */
interface Use {
  /** When it was first seen to be out of date. */
  outdatedAt?: number;
  fetchedAt?: number;
  /** Bytes that it needs beside the root on chain. */
  extraBytes?: number;
}

class Keeper implements PinKeeper {
  readonly #store: BlockStore;
  readonly #ledger: Pick<LedgerReader, 'name'>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #uses = new Map<string, Use>();
  /** Bytes that this sweep has kept for downloads so far. */
  #keptBytes = 0;
  #collectedAt: number;

  constructor({ store, ledger, clock = systemClock, log = silentLog }: PinKeeperOptions) {
    this.#store = store;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#log = log;
    this.#collectedAt = clock.now();
  }

  fetched(pin: Pin): void {
    this.#useOf(pin).fetchedAt = this.#clock.now();
  }

  async sweep(): Promise<void> {
    this.#keptBytes = 0;
    for (const name of new Set(this.#store.pins().map((pin) => pin.name))) {
      try {
        await this.#sweepName(name, this.#store.pins(name));
      } catch (error) {
        this.#log.warn({ name, err: error }, 'could not check the content of a name; it is kept');
      }
    }
    const kept = new Set(this.#store.pins().map(keyOf));
    for (const key of this.#uses.keys()) if (!kept.has(key)) this.#uses.delete(key);
    await this.#collect();
  }

  async #sweepName(name: string, pins: readonly Pin[]): Promise<void> {
    const record = await this.#ledger.name(name);
    const isManifest = ({ root }: Pin): boolean => isManifestCodec(root);
    await this.#sweepKind(
      pins.filter((pin) => !isManifest(pin)),
      record?.root,
    );
    await this.#sweepKind(pins.filter(isManifest), record?.manifest);
  }

  /** `named`: what the chain says. */
  async #sweepKind(pins: readonly Pin[], named: Uint8Array = new Uint8Array()): Promise<void> {
    const current = pins.find((pin) => equalBytes(named, pin.root.bytes));
    for (const pin of pins) {
      if (pin === current) delete this.#useOf(pin).outdatedAt;
      else if (current === undefined || pin.pinnedAt > current.pinnedAt) await this.#sweepUnnamed(pin);
      else await this.#sweepReplaced(pin, current);
    }
  }

  async #sweepUnnamed(pin: Pin): Promise<void> {
    if (this.#clock.now() - pin.pinnedAt >= ORPHAN_BLOCK_MILLIS) await this.#remove(pin, {});
  }

  async #sweepReplaced(pin: Pin, current: Pin): Promise<void> {
    const now = this.#clock.now();
    const use = this.#useOf(pin);
    use.outdatedAt ??= now;
    const age = now - use.outdatedAt;
    if (age < SUPERSEDED_ROOT_MILLIS) return;
    if (use.fetchedAt === undefined || now - use.fetchedAt >= SUPERSEDED_USE_MILLIS) {
      await this.#remove(pin, {});
      return;
    }
    use.extraBytes ??= await this.#store.bytesBeside(pin.root, current.root);
    const { quota = Number.POSITIVE_INFINITY } = this.#store.stats();
    const fits = this.#keptBytes + use.extraBytes <= Math.min(MAX_SUPERSEDED_BYTES, quota / MAX_SUPERSEDED_PARTS);
    if (fits && age < SUPERSEDED_MOST_MILLIS) {
      this.#keptBytes += use.extraBytes;
      return;
    }
    // A download ends here: say why.
    const why = fits ? 'it was replaced too long ago' : 'what is kept for downloads needs too much room';
    await this.#remove(pin, { stillFetched: true, why, replacedMillis: age, extraBytes: use.extraBytes });
  }

  async #remove(pin: Pin, more: object): Promise<void> {
    const { name, root } = pin;
    this.#uses.delete(keyOf(pin));
    await this.#store.unpin(name, root);
    this.#log.info({ name, root: root.toString(), ...more }, 'removed content that the chain no longer names');
  }

  async #collect(): Promise<void> {
    if (this.#clock.now() - this.#collectedAt < COLLECT_EVERY_MILLIS) return;
    this.#collectedAt = this.#clock.now();
    try {
      const { blocks, bytes } = await this.#store.collectGarbage();
      if (blocks > 0) this.#log.info({ blocks, bytes }, 'deleted blocks of unfinished publishes');
    } catch (error) {
      this.#log.warn({ err: error }, 'could not look for blocks to delete');
    }
  }

  #useOf(pin: Pin): Use {
    const key = keyOf(pin);
    let use = this.#uses.get(key);
    if (use === undefined) {
      use = {};
      this.#uses.set(key, use);
    }
    return use;
  }
}

function keyOf({ name, root }: Pin): string {
  return `${name}/${root.toString()}`;
}
