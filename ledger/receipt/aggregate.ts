/**
 * Half-aggregation: the signatures of many receipts become one scalar and the first half of each. Made by the one who
 * settles, from ordinary Ed25519 signatures and without their signers.
 *
 *   s   = sum of z_i s_i mod L
 *   z_i = SHA-256(T, i u8) without its top four bits, little-endian; i counts from 0
 *   T   = SHA-256("relaymint:half-aggregate:v1", n u8, R_1, A_1, .. R_n, A_n, message_1, .. message_n)
 *
 * The program checks it: `ledger/program/src/aggregate.rs`. docs/settlement-security.md says what that proves.
 */
import { createHash } from 'node:crypto';
import { fromHex, utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { RECEIPT_BYTES, SIGNATURE_BYTES } from './receipt.ts';
import { GROUP_ORDER, littleEndian } from './scalar.ts';

const DOMAIN = utf8('relaymint:half-aggregate:v1');
const HALF_BYTES = 32;
/** Their number is one byte of the transcript. */
const MAX_SIGNATURES = 255;

/** An ordinary signature and what it signs. */
export interface SignedMessage {
  /** Ed25519 key, 32 bytes. */
  readonly key: Uint8Array;
  /** 47 bytes. */
  readonly message: Uint8Array;
  /** R and s, 64 bytes. */
  readonly signature: Uint8Array;
}

/**
 * s, 32 bytes little-endian and below the group order. The signatures are not verified here: an invalid one, or
 * another order of the same ones, makes an invalid aggregate.
 * @throws RelaymintError RECEIPT_INVALID when a signature's s is not below the group order; RangeError for an empty or
 * over-long list and for parts of a wrong length.
 */
export function aggregateSignatures(signed: readonly SignedMessage[]): Uint8Array {
  if (signed.length === 0 || signed.length > MAX_SIGNATURES) {
    throw new RangeError(`an aggregate has 1 to ${MAX_SIGNATURES} signatures, not ${signed.length}`);
  }
  const factors = factorsOf(signed);
  let sum = 0n;
  for (const [index, { signature }] of signed.entries()) {
    const s = littleEndian(signature.subarray(HALF_BYTES));
    if (s >= GROUP_ORDER) {
      throw new RelaymintError('RECEIPT_INVALID', 'The second half of a signature is not below the group order.', {
        remedy: 'Settle only receipts that were verified when they were taken.',
        details: { index },
      });
    }
    sum += (factors[index] ?? 0n) * s;
  }
  return fromHex((sum % GROUP_ORDER).toString(16).padStart(2 * HALF_BYTES, '0')).toReversed();
}

function factorsOf(signed: readonly SignedMessage[]): readonly bigint[] {
  const transcript = createHash('sha256').update(DOMAIN).update(Uint8Array.of(signed.length));
  for (const { key, message, signature } of signed) {
    if (key.length !== HALF_BYTES || message.length !== RECEIPT_BYTES || signature.length !== SIGNATURE_BYTES) {
      throw new RangeError(`a key has 32 bytes, a receipt ${RECEIPT_BYTES} and its signature ${SIGNATURE_BYTES}`);
    }
    transcript.update(signature.subarray(0, HALF_BYTES)).update(key);
  }
  for (const { message } of signed) transcript.update(message);
  const seed = transcript.digest();
  return signed.map((_, index) => {
    const factor = createHash('sha256').update(seed).update(Uint8Array.of(index)).digest();
    factor[HALF_BYTES - 1] = (factor[HALF_BYTES - 1] ?? 0) & 0x0f;
    return littleEndian(factor);
  });
}
