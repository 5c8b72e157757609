/** A seller's till gets more slots before payers find it full. */
import type { Log } from '../../core/ports.ts';
import type { LedgerReader, LedgerWallet } from '../contract.ts';

export interface TillGrowthOptions {
  readonly reader: LedgerReader;
  readonly wallet: LedgerWallet;
  /** Never more slots than this: anybody can fill slots for little, and each takes rent until the till is closed. */
  readonly maxSlots: number;
  readonly log: Log;
}

/** Grows when no more than one slot in eight is free .. */
const FREE_SHARE = 8;
/** .. by half, and at least by this many slots. */
const LEAST_GROWTH = 8;

/** Checks once, and grows the till if it is nearly full and may grow. */
export async function growNearlyFull(options: TillGrowthOptions): Promise<void> {
  const { reader, wallet, maxSlots, log } = options;
  const till = await reader.till(wallet.address);
  if (till === undefined || till.slots >= maxSlots) return;
  const free = till.slots - till.channels.length;
  if (free * FREE_SHARE > till.slots) return;
  const slots = Math.min(maxSlots, till.slots + Math.max(LEAST_GROWTH, Math.ceil(till.slots / 2)));
  await wallet.growTill(slots);
  log.info(
    { before: till.slots, slots, taken: till.channels.length },
    'the till was nearly full and has more slots now',
  );
}
