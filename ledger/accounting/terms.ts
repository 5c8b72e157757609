/**
 * What a payee tells its payer at the start of a link, before any circuit frame. Fixed layout:
 *
 *   window  u64 LE   what the payer may owe once it has paid what is due; less what it leaves of that unpaid
 *   paid    u64 LE   what the newest receipt it accepted pays
 *   up      u64 LE   bytes the payee counted, payer to payee
 *   down    u64 LE   bytes the payee sent, payee to payer
 *   due     u64 LE   what the payee says is due in all, less what was netted; more than `paid` when the last link that carried
 *                    anything ended unpaid
 *   netted  u64 LE   what the payee counted as netted on the last link, as far as it remembers
 *   nets    u8       1: the payee nets what it is owed against what it owes (`netting.ts`), 0: it does not
 *   held    0 or 111 bytes: the newest receipt the payee holds
 */
import { Reader, Writer } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { amount } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import { SIGNED_RECEIPT_BYTES } from '../receipt/index.ts';

export interface Terms {
  /** What the payer may owe at most once it has paid what is due; `windowAfter` tells it for any receipt. */
  readonly window: Amount;
  /** What the newest receipt the payee accepted pays. */
  readonly paid: Amount;
  readonly up: bigint;
  readonly down: bigint;
  readonly due: Amount;
  /** What the payee counted as netted on the last link; 0 when it does not remember. */
  readonly netted: Amount;
  /** The payee is ready to net on this link. */
  readonly nets: boolean;
  /** The newest receipt the payee holds, 111 bytes; undefined when it has none. */
  readonly held: Uint8Array | undefined;
}

const FIXED_BYTES = 49;
/** The longest encoding of `Terms`. */
export const MAX_TERMS_BYTES: number = FIXED_BYTES + SIGNED_RECEIPT_BYTES;

export function encodeTerms(terms: Terms): Uint8Array {
  return new Writer(MAX_TERMS_BYTES)
    .u64(terms.window)
    .u64(terms.paid)
    .u64(amount(terms.up))
    .u64(amount(terms.down))
    .u64(terms.due)
    .u64(terms.netted)
    .u8(terms.nets ? 1 : 0)
    .bytes(terms.held ?? new Uint8Array(0))
    .finish();
}

/** @throws RelaymintError INVALID_ENCODING unless it is 49 or 160 bytes and its fields are in bounds. */
export function decodeTerms(encoded: Uint8Array): Terms {
  if (encoded.length !== FIXED_BYTES && encoded.length !== MAX_TERMS_BYTES) {
    throw new RelaymintError(
      'INVALID_ENCODING',
      `Payment terms have ${FIXED_BYTES} or ${MAX_TERMS_BYTES} bytes, these ${encoded.length}.`,
      { remedy: 'The peer may run another version of the protocol.' },
    );
  }
  const reader = new Reader(encoded, 'payment terms');
  return {
    window: amount(reader.u64()),
    paid: amount(reader.u64()),
    up: reader.u64(),
    down: reader.u64(),
    due: amount(reader.u64()),
    netted: amount(reader.u64()),
    nets: flag(reader.u8()),
    held: reader.remaining === 0 ? undefined : Uint8Array.from(reader.rest()),
  };
}

/** @throws RelaymintError INVALID_ENCODING. */
function flag(value: number): boolean {
  if (value <= 1) return value === 1;
  throw new RelaymintError('INVALID_ENCODING', 'Malformed payment terms: a flag is neither 0 nor 1.', {
    remedy: 'The peer may run another version of the protocol.',
  });
}

/**
 * A payer signs once it owes this part of the window, and is cut when it has sent more than that up without signing. The
 * other parts are for what is granted down (`EarningAccount.mayGrant`).
 */
export const DEBT_PARTS = 4n;

/**
 * The window after a receipt: less by what the receipt leaves unpaid. Both sides compute it from the same terms and
 * the same receipt, whatever bounds the window (what was burned, the deposit, the price), because it is counted down from the whole.
 */
export function windowAfter(terms: Terms, receiptAmount: bigint): Amount {
  const unpaid = terms.due - receiptAmount;
  if (unpaid <= 0n) return terms.window;
  return amount(terms.window > unpaid ? terms.window - unpaid : 0n);
}
