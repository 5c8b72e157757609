/** The keys of the books on disk. */
import { receiptAmount } from '../receipt/index.ts';

/**
 * A channel has two records, and one that we opened for a payer's circuits a third. A wallet has one for what it left unpaid and one
 * for what was burned for it.
 */
export const KEY = {
  channel: 'channel/',
  /** We are the payee. */
  held: 'held/',
  /** We are the payer. */
  given: 'given/',
  arrears: 'arrears/',
  advance: 'advance/',
  opened: 'opened-for/',
  share: 'share/',
  settlement: 'settlement/',
  /** What closed channels earned and cost: one record per side. */
  closed: 'closed/',
} as const;

/** What a record is worth, base units: receipts held are what books must not lose. */
export function worthOf(key: string, payload: Uint8Array): bigint {
  return key.startsWith(KEY.held) ? receiptAmount(payload) : 0n;
}
