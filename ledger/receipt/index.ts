/** The receipt: its bytes, its signature, and how both are checked. */
export { aggregateSignatures } from './aggregate.ts';
export type { SignedMessage } from './aggregate.ts';
export {
  decodeReceipt,
  decodeSignedReceipt,
  encodeReceipt,
  isNewer,
  MAX_COUNTER,
  RECEIPT_BYTES,
  RECEIPT_TAG,
  receiptAmount,
  receiptMessage,
  receiptSignature,
  SIGNATURE_BYTES,
  SIGNED_RECEIPT_BYTES,
} from './receipt.ts';
export type { Receipt, SignedReceipt } from './receipt.ts';
export { delegateFromSeed, signReceipt } from './signer.ts';
export type { Signer } from './signer.ts';
export { isSignedBy, receiptVerifier, verifyReceipt } from './verify.ts';
export type { ReceiptVerifier } from './verify.ts';
