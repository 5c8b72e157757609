/** How many bytes and compute units a settle transaction takes, known before it is built. */
import { namesIn } from '../../core/attribution.ts';
import type { ShareNames } from '../contract.ts';
import type { Receipt } from '../receipt/index.ts';
import { MAX_BATCH_RECEIPTS, settleReceiptBytes } from './program/index.ts';
import { MAX_PACKET_BYTES, MAX_VERSION_ONE_BYTES } from './transaction-size.ts';

/**
 * All but receipts, names and shares: count and signature 65, header 3, the five keys (owner, till, bank, program, compute budget)
 * 161, blockhash 32, number of instructions 1, the limits of compute units and of loaded bytes 16, a priority fee 12, and of
 * settle itself its place, accounts and length 7, tag and count 2, scalar 32, number of shares 1.
 */
const FRAME_BYTES = 332;
/**
 * The same of version 1: version 1, header 3, which limits there are 4, blockhash 32, numbers of instructions and keys 2, the
 * four keys (owner, till, bank, program) 128, fee and limits 16, of settle its place, number of accounts and length 4,
 * accounts 3, tag and count 2, scalar 32, number of shares 1, and the signature 64.
 */
const VERSION_ONE_FRAME_BYTES = 292;
/** Address, place in the list of accounts. */
const NAME_BYTES = 32 + 1;
/** Name and referrer, gross, cap of the royalty. */
const SHARE_BYTES = 1 + 1 + 8 + 2;

/** Measured, rounded up: tests hold the program to it. The base has room for the rare path of keys of mixed order. */
const BASE_UNITS = 6_000;
const RECEIPT_UNITS = 9_900;
const NAME_UNITS = 550;
const SHARE_UNITS = 600;

/** How many of the receipts, from the first on, fit one transaction beside those shares. `large`: one of version 1. */
export function receiptsThatFit(receipts: readonly Receipt[], shares: readonly ShareNames[], large: boolean): number {
  let room = large ? MAX_VERSION_ONE_BYTES - VERSION_ONE_FRAME_BYTES : MAX_PACKET_BYTES - FRAME_BYTES;
  room -= namesIn(shares).length * NAME_BYTES + shares.length * SHARE_BYTES;
  let count = 0;
  for (const receipt of receipts) {
    room -= settleReceiptBytes(receipt);
    if (room < 0 || count === MAX_BATCH_RECEIPTS) break;
    count += 1;
  }
  return count;
}

/** Compute units that are enough to settle this many receipts and shares. */
export function settleUnits(receipts: number, shares: readonly ShareNames[]): number {
  return BASE_UNITS + receipts * RECEIPT_UNITS + namesIn(shares).length * NAME_UNITS + shares.length * SHARE_UNITS;
}
