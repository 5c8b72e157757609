/** Which failures say something about the receipts, and which only about the moment. */
import { isRelaymintError } from '../../core/errors.ts';
import type { RelaymintError } from '../../core/errors.ts';

/** The ledger looked at the transaction and refused it. Anything else (an empty wallet, no answer) says nothing about a receipt. */
export function isRefusal(error: unknown): error is RelaymintError {
  return isRelaymintError(error, 'LEDGER_REJECTED') || isVerdict(error);
}

/** The program itself said no: asking again with the same receipt gives the same answer. */
export function isVerdict(error: unknown): error is RelaymintError {
  return isRelaymintError(error) && error.details['program'] !== undefined;
}
