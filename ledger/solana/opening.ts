/** Opening a channel: which slot, what is burned, and whether another look at the till may help. */
import { isRelaymintError, RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { formatCredits } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type { ChannelFunds } from '../contract.ts';
import type { TillAccount } from './program/index.ts';

/** One of the free slots at random: payers that open at the same moment rarely choose the same one. */
export function freeSlot(payee: LedgerAddress, till: TillAccount): number {
  const free = till.slots.filter((slot) => !slot.open);
  const chosen = free[Math.floor(Math.random() * free.length)];
  if (chosen !== undefined) return chosen.slot;
  throw new RelaymintError('LIMIT_EXCEEDED', `All ${till.slots.length} slots of ${payee}'s till are taken.`, {
    remedy: 'Use another payee, wait until a channel closes, or ask the payee for more slots ("relaymint till grow").',
  });
}

/** What a payer burns at this till. @throws RelaymintError INVALID_ARGUMENT below its terms; LIMIT_EXCEEDED when it asks too much. */
export function fundsFor(
  till: TillAccount,
  { deposit, opening = till.opening, maxOpening }: ChannelFunds,
): { readonly deposit: Amount; readonly opening: Amount } {
  if (maxOpening !== undefined && opening > maxOpening) {
    const [asked, most] = [formatCredits(opening), formatCredits(maxOpening)];
    throw new RelaymintError(
      'LIMIT_EXCEEDED',
      `The payee asks ${asked} credits to open a channel, more than ${most}.`,
      {
        remedy: 'Use another payee, or raise the limit.',
        details: { asked: String(opening), most: String(maxOpening) },
      },
    );
  }
  if (deposit >= till.minDeposit && opening >= till.opening) return { deposit, opening };
  const [least, asked] = [formatCredits(till.minDeposit), formatCredits(till.opening)];
  throw new RelaymintError(
    'INVALID_ARGUMENT',
    `The payee takes deposits of at least ${least} credits and opening payments of at least ${asked}.`,
    { remedy: 'Give at least that much, or use another payee.' },
  );
}

/** Whether an opening failed because the till has changed since it was read. */
export function hasChanged(error: unknown): boolean {
  const reason = isRelaymintError(error) ? error.details['program'] : undefined;
  return ['SlotInUse', 'DepositBelowTerms', 'OpeningBelowTerms', 'SlotRentMissing'].some((name) => name === reason);
}
