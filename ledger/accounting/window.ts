/** How much a payer may owe. */
import { MAX_WINDOW, STRANGER_WINDOW } from '../../core/limits.ts';
import { amount } from '../../core/units.ts';
import type { Amount, PricePerMiB } from '../../core/units.ts';
import type { Entry } from './entry.ts';
import { NUMERATOR_BITS } from './tally.ts';

/** A payer's later payments forgive a sixteenth of their amount; arrears are kept in sixteenths to do so exactly. */
export const ARREARS_PARTS = 16n;
/** Settled value that widens the window by one unit is eight: a payer risks more than it may gain by vanishing. */
const HISTORY_PARTS = 8n;
/** No window is more than this part of what the deposit still holds. */
export const DEPOSIT_PARTS = 4n;
/** The smallest window, base units: receipts pay whole units, and half of the window must be one. */
const MIN_WINDOW = 4n;
/** What a payer may owe: a stranger's window, wider with what it settled, less what it left unpaid. */
export function windowFor(entry: Pick<Entry, 'channel' | 'latest' | 'arrears'>, price: PricePerMiB): Amount {
  const { channel, latest, arrears } = entry;
  const history = channel.settled / HISTORY_PARTS;
  const widest = worth(MAX_WINDOW, price);
  let window = worth(STRANGER_WINDOW, price) + history;
  if (window > widest) window = widest;
  if (window < MIN_WINDOW) window = MIN_WINDOW;
  const paid = latest !== undefined && latest.amount > channel.settled ? latest.amount : channel.settled;
  const part = channel.deposit > paid ? (channel.deposit - paid) / DEPOSIT_PARTS : 0n;
  if (window > part) window = part;
  const unpaid = (arrears + ARREARS_PARTS - 1n) / ARREARS_PARTS;
  const left = window - unpaid;
  // Half of a single base unit is none: a payer that keeps to it would be cut for nothing.
  return amount(left < 2n ? 0n : left);
}

function worth(bytes: number, price: PricePerMiB): bigint {
  return (BigInt(bytes) * price) >> NUMERATOR_BITS;
}
