/** How much a payer may owe. */
import { MAX_WINDOW } from '../../core/limits.ts';
import { amount } from '../../core/units.ts';
import type { Amount, PricePerMiB } from '../../core/units.ts';
import type { ChannelState } from '../contract.ts';
import { NUMERATOR_BITS } from './tally.ts';

/** No window is more than this part of what the deposit still holds. */
const DEPOSIT_PARTS = 4n;
/** The smallest window, base units: receipts pay whole units, and a payer signs once it owes a quarter of its window. */
const MIN_WINDOW = 4n;

/** The payee's side: what the payer burned for its channel less all that its wallet left unpaid, within the widest window worth its price. */
export function windowFor(
  channel: Pick<ChannelState, 'deposit' | 'opening' | 'settled'>,
  { paid, arrears, price }: { readonly paid: bigint; readonly arrears: bigint; readonly price: PricePerMiB },
): Amount {
  const widest = (BigInt(MAX_WINDOW) * price) >> NUMERATOR_BITS;
  const burned = channel.opening - arrears;
  return payable(least(burned, widest > MIN_WINDOW ? widest : MIN_WINDOW, depositPart(channel, paid)));
}

/** The payer's side: the most that an honest payee lets it owe. A payee that states more gains nothing. */
export function ownWindow(channel: Pick<ChannelState, 'deposit' | 'opening'>, stated: bigint, signed: bigint): Amount {
  return payable(least(stated, channel.opening, depositPart({ ...channel, settled: amount(0n) }, signed)));
}

function depositPart({ deposit, settled }: Pick<ChannelState, 'deposit' | 'settled'>, paid: bigint): bigint {
  return (deposit - (paid > settled ? paid : settled)) / DEPOSIT_PARTS;
}

function payable(window: bigint): Amount {
  return amount(window < MIN_WINDOW ? 0n : window);
}

function least(first: bigint, ...others: readonly bigint[]): bigint {
  return others.reduce((a, b) => (a < b ? a : b), first);
}
