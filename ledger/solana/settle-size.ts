/** How many bytes and compute units a settle transaction takes, known before it is built. */
import type { Receipt } from '../receipt/index.ts';
import { MAX_BATCH_RECEIPTS, settleReceiptBytes } from './program/index.ts';

/** Bytes of a transaction that reaches every cluster. */
export const MAX_PACKET_BYTES = 1232;
/**
 * All but receipts and names: count and signature 65, header 3, the five keys (owner, till, bank, program, compute budget)
 * 161, blockhash 32, number of instructions 1, the limit of compute units 8, a priority fee 12, and of settle itself its
 * place, accounts and length 7, tag and count 2, scalar 32, number of shares 1.
 */
const FRAME_BYTES = 324;
/** Address, place in the list of accounts, gross, cap of the royalty. */
const NAME_BYTES = 32 + 1 + 8 + 2;

/** Measured, rounded up: tests hold the program to it. The base has room for the rare path of keys of mixed order. */
const BASE_UNITS = 6_000;
const RECEIPT_UNITS = 9_900;
const NAME_UNITS = 700;

/** How many of the receipts, from the first on, fit one transaction beside that many names. */
export function receiptsThatFit(receipts: readonly Receipt[], names: number): number {
  let room = MAX_PACKET_BYTES - FRAME_BYTES - names * NAME_BYTES;
  let count = 0;
  for (const receipt of receipts) {
    room -= settleReceiptBytes(receipt);
    if (room < 0 || count === MAX_BATCH_RECEIPTS) break;
    count += 1;
  }
  return count;
}

/** Compute units that are enough to settle so many receipts and names. */
export function settleUnits(receipts: number, names: number): number {
  return BASE_UNITS + receipts * RECEIPT_UNITS + names * NAME_UNITS;
}
