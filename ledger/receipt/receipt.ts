/**
 * The receipt: a payer's cumulative statement on one channel. 47 bytes, so that R, A and the message are one SHA-512
 * block when the program verifies it.
 *
 *   offset  0  tag          u8      0x01
 *           1  channel id   22
 *          23  amount       u64 LE  base units due since the channel opened
 *          31  up           u64 LE  bytes payer to payee since the channel opened
 *          39  down         u64 LE  bytes payee to payer since the channel opened
 *
 * On a link and on disk it is followed by its 64-byte Ed25519 signature: 111 bytes.
 */
import { Reader, Writer } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { CHANNEL_ID_BYTES, channelId, channelIdBytes } from '../../core/ids.ts';
import type { ChannelId } from '../../core/ids.ts';
import { amount } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';

export const RECEIPT_TAG = 0x01;
export const RECEIPT_BYTES = 47;
export const SIGNATURE_BYTES = 64;
const AMOUNT_OFFSET = 23;
/** Byte counters that end here are refused on a link: no channel carries that much, and one near 2^64 could not grow. */
export const MAX_COUNTER: bigint = 1n << 63n;
export const SIGNED_RECEIPT_BYTES: number = RECEIPT_BYTES + SIGNATURE_BYTES;

/** What a receipt says. All figures are cumulative since the channel opened. */
export interface Receipt {
  readonly channel: ChannelId;
  readonly amount: Amount;
  /** Bytes payer to payee. */
  readonly up: bigint;
  /** Bytes payee to payer. */
  readonly down: bigint;
}

/** A receipt together with the bytes that were signed. */
export interface SignedReceipt extends Receipt {
  /** Message and signature, 111 bytes: what goes on the link and on disk. */
  readonly bytes: Uint8Array;
}

/** The 47 bytes that are signed. @throws RangeError when a figure leaves the u64 range. */
export function encodeReceipt(receipt: Receipt): Uint8Array {
  return new Writer(RECEIPT_BYTES)
    .u8(RECEIPT_TAG)
    .bytes(channelIdBytes(receipt.channel))
    .u64(receipt.amount)
    .u64(amount(receipt.up))
    .u64(amount(receipt.down))
    .finish();
}

/** @throws RelaymintError RECEIPT_INVALID unless it is exactly 47 bytes with the tag of this version. */
export function decodeReceipt(message: Uint8Array): Receipt {
  if (message.length !== RECEIPT_BYTES || message[0] !== RECEIPT_TAG) {
    throw new RelaymintError(
      'RECEIPT_INVALID',
      `A receipt has ${RECEIPT_BYTES} bytes and begins with ${RECEIPT_TAG}; this one has ${message.length} and begins with ${message[0] ?? 'nothing'}.`,
      { remedy: 'The peer may run another version of the protocol.' },
    );
  }
  const reader = new Reader(message.subarray(1), 'receipt');
  return {
    channel: channelId(reader.bytes(CHANNEL_ID_BYTES)),
    amount: amount(reader.u64()),
    up: reader.u64(),
    down: reader.u64(),
  };
}

/** Splits and decodes 111 bytes; copies them, so that the frame they came in may be reused. The signature is NOT verified. @throws RelaymintError RECEIPT_INVALID. */
export function decodeSignedReceipt(signed: Uint8Array): SignedReceipt {
  if (signed.length !== SIGNED_RECEIPT_BYTES) {
    throw new RelaymintError(
      'RECEIPT_INVALID',
      `A signed receipt has ${SIGNED_RECEIPT_BYTES} bytes, this one ${signed.length}.`,
      { remedy: 'The peer may run another version of the protocol.' },
    );
  }
  const bytes = Uint8Array.from(signed);
  return { ...decodeReceipt(bytes.subarray(0, RECEIPT_BYTES)), bytes };
}

/** What a signed receipt pays, without decoding the rest of it. */
export function receiptAmount(signed: Uint8Array): Amount {
  return amount(new DataView(signed.buffer, signed.byteOffset, signed.byteLength).getBigUint64(AMOUNT_OFFSET, true));
}

/** The signed part of a signed receipt (a view). */
export function receiptMessage(receipt: SignedReceipt): Uint8Array {
  return receipt.bytes.subarray(0, RECEIPT_BYTES);
}

/** The signature of a signed receipt (a view). */
export function receiptSignature(receipt: SignedReceipt): Uint8Array {
  return receipt.bytes.subarray(RECEIPT_BYTES);
}

/** True when `candidate` may replace `current`: every counter is >= and the amount is greater. */
export function isNewer(candidate: Receipt, current: Receipt | undefined): boolean {
  if (current === undefined) return candidate.amount > 0n;
  return candidate.amount > current.amount && candidate.up >= current.up && candidate.down >= current.down;
}
