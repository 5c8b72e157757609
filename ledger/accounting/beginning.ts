/** Where a payee's account begins: at the newest receipt that it holds, with what the last link left. */
import { amount } from '../../core/units.ts';
import type { ChannelState } from '../contract.ts';
import type { SignedReceipt } from '../receipt/index.ts';
import type { AccountCounts } from './contract.ts';
import type { WindowAt } from './cover.ts';
import type { Figures } from './refusal.ts';
import type { Terms } from './terms.ts';

export interface Left {
  readonly channel: ChannelState;
  /** The newest receipt we hold. */
  readonly held: SignedReceipt | undefined;
  /** What the last link that carried anything left unpaid: a part of the wallet's arrears that its payer may make good now. */
  readonly owed: bigint;
  readonly windowAt: WindowAt;
  /** We are ready to net what it owes. */
  readonly nets: boolean;
}

/** The account as it was when the last link ended, when this process still remembers it. */
export interface Before {
  /** The counts that the account after this one states to the payer: those of the last link that carried anything. */
  readonly left: Pick<AccountCounts, 'up' | 'down'>;
  readonly netted: bigint;
}

/** `base`: what was paid for when the link began. `terms`: what the payer is told. */
export function beginningOf(
  { channel, held, owed: leftUnpaid, windowAt, nets }: Left,
  before: Before | undefined,
): { readonly base: Figures; readonly terms: Terms } {
  const base: Figures =
    held !== undefined && held.amount >= channel.settled
      ? held
      : { amount: channel.settled, up: channel.settledUp, down: channel.settledDown };
  const last = before?.left;
  // What was settled beyond the receipt that we hold paid for some of it.
  const unpaid = leftUnpaid - (base.amount - (held?.amount ?? base.amount));
  const owed = unpaid > 0n ? unpaid : 0n;
  const terms = {
    window: windowAt(channel, base.amount + owed, owed),
    paid: amount(base.amount),
    up: last === undefined || last.up < base.up ? base.up : last.up,
    down: last === undefined || last.down < base.down ? base.down : last.down,
    due: amount(base.amount + owed),
    netted: amount(before?.netted ?? 0n),
    nets,
    held: held?.bytes,
  };
  return { base, terms };
}
