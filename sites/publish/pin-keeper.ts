/** Removes content that the chain no longer names. */
import { equalBytes } from '../../core/codec.ts';
import { ORPHAN_BLOCK_MILLIS, SUPERSEDED_ROOT_MILLIS } from '../../core/limits.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import type { BlockStore, Pin } from '../blocks/contract.ts';

export interface PinKeeperOptions {
  readonly store: BlockStore;
  readonly ledger: Pick<LedgerReader, 'name'>;
  readonly clock?: Clock;
  readonly log?: Log;
}

export interface PinKeeper {
  /**
   * Checks every kept name once. A root older than the one on chain is removed SUPERSEDED_ROOT_MILLIS after it was first seen to
   * be; a younger one (a publish whose transaction is on its way) may wait for ORPHAN_BLOCK_MILLIS. Never throws: what the
   * ledger cannot answer now is left for the next time.
   */
  sweep(): Promise<void>;
}

/** Looking at every block on disk takes seconds in a big store: once an hour is enough for what may wait a day. */
const COLLECT_EVERY_MILLIS = 60 * 60_000;

/** Call `sweep` every minute or so. */
export function createPinKeeper(options: PinKeeperOptions): PinKeeper {
  const { store, ledger } = options;
  const clock = options.clock ?? systemClock;
  const log = options.log ?? silentLog;
  /** When a root was first seen to be out of date. */
  const outdated = new Map<string, number>();
  let collectedAt = clock.now();

  const sweepName = async (name: string, pins: readonly Pin[]): Promise<void> => {
    const record = await ledger.name(name);
    const current = pins.find((pin) => record !== undefined && equalBytes(record.root, pin.root.bytes));
    for (const pin of pins) {
      const key = `${name}/${pin.root.toString()}`;
      if (pin === current) {
        outdated.delete(key);
        continue;
      }
      const replaced = current !== undefined && pin.pinnedAt <= current.pinnedAt;
      const since = replaced ? (outdated.get(key) ?? clock.now()) : pin.pinnedAt;
      if (clock.now() - since < (replaced ? SUPERSEDED_ROOT_MILLIS : ORPHAN_BLOCK_MILLIS)) {
        if (replaced) outdated.set(key, since);
        continue;
      }
      outdated.delete(key);
      await store.unpin(name, pin.root);
      log.info({ name, root: pin.root.toString() }, 'removed content that the chain no longer names');
    }
  };

  return {
    async sweep() {
      for (const name of new Set(store.pins().map((pin) => pin.name))) {
        try {
          await sweepName(name, store.pins(name));
        } catch (error) {
          log.warn({ name, err: error }, 'could not check the content of a name; it is kept');
        }
      }
      if (clock.now() - collectedAt < COLLECT_EVERY_MILLIS) return;
      collectedAt = clock.now();
      try {
        const { blocks, bytes } = await store.collectGarbage();
        if (blocks > 0) log.info({ blocks, bytes }, 'deleted blocks of unfinished publishes');
      } catch (error) {
        log.warn({ err: error }, 'could not look for blocks to delete');
      }
    },
  };
}
