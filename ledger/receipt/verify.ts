/**
 * Verifying a receipt's signature at least as strictly as the chain does: what is accepted here must be accepted
 * when it is settled, or a payee would forward for worthless receipts. So besides the equation itself: s is canonical,
 * neither R nor the key has small order, and both encodings are canonical.
 */
import { verify } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { toHex } from '../../core/codec.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { ledgerAddressBytes } from '../../core/ids.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { ED25519 } from '../../platform/keys/der.ts';
import { receiptMessage, receiptSignature, SIGNATURE_BYTES } from './receipt.ts';
import type { SignedReceipt } from './receipt.ts';
import { GROUP_ORDER, littleEndian } from './scalar.ts';

const FIELD_PRIME = (1n << 255n) - 19n;
const POINT_BYTES = 32;
/** y coordinates of the eight points of small order, in hex, without the sign bit. */
const SMALL_ORDER_Y: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);
/** First bytes of the above and of every y at or above the prime: one byte is enough to accept most points. */
const SUSPECT_FIRST_BYTES: ReadonlySet<number> = new Set([
  0x00, 0x01, 0x26, 0xc7, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
  0xfb, 0xfc, 0xfd, 0xfe, 0xff,
]);
/** Keys kept imported for `verifyReceipt`: importing one costs as much as verifying. */
const CACHED_KEYS = 1024;

/** True when `signature` (64 bytes) signs `message`. */
export type ReceiptVerifier = (message: Uint8Array, signature: Uint8Array) => boolean;

/** A verifier for one delegate key, imported once. @throws RelaymintError RECEIPT_INVALID when the key is not sound. */
export function receiptVerifier(delegate: LedgerAddress): ReceiptVerifier {
  const raw = ledgerAddressBytes(delegate);
  if (!isSoundPoint(raw)) {
    throw new RelaymintError('RECEIPT_INVALID', `${delegate} is not a sound Ed25519 key.`, {
      remedy: 'Open the channel again with an ordinary delegate key.',
    });
  }
  const key = ED25519.publicKey(raw);
  return (message, signature) =>
    signature.length === SIGNATURE_BYTES &&
    isSoundPoint(signature.subarray(0, POINT_BYTES)) &&
    isCanonicalScalar(signature.subarray(POINT_BYTES)) &&
    verify(null, message, key, signature);
}

const verifiers = new LRUCache<LedgerAddress, ReceiptVerifier>({ max: CACHED_KEYS });

/** True when the receipt is signed by `delegate`. @throws RelaymintError RECEIPT_INVALID for an unsound key. */
export function verifyReceipt(receipt: SignedReceipt, delegate: LedgerAddress): boolean {
  let verifier = verifiers.get(delegate);
  if (verifier === undefined) {
    verifier = receiptVerifier(delegate);
    verifiers.set(delegate, verifier);
  }
  return verifier(receiptMessage(receipt), receiptSignature(receipt));
}

/** Not of small order, and y below the field prime. (That it lies on the curve is checked by the equation.) */
function isSoundPoint(point: Uint8Array): boolean {
  const first = point[0];
  if (first === undefined || !SUSPECT_FIRST_BYTES.has(first)) return true;
  const y = Uint8Array.from(point);
  y[31] = (y[31] ?? 0) & 0x7f;
  return littleEndian(y) < FIELD_PRIME && !SMALL_ORDER_Y.has(toHex(y));
}

/** s below the group order: otherwise a second valid signature could be made of the first. */
function isCanonicalScalar(scalar: Uint8Array): boolean {
  const top = scalar[31] ?? 0xff;
  return top < 0x10 || (top === 0x10 && littleEndian(scalar) < GROUP_ORDER);
}

/** True when that wallet signed the message: strict, as receipts are verified. Of a key that is not sound nothing is signed. */
export function isSignedBy(wallet: LedgerAddress, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return receiptVerifier(wallet)(message, signature);
  } catch (error) {
    if (isRelaymintError(error, 'RECEIPT_INVALID')) return false;
    throw error;
  }
}
