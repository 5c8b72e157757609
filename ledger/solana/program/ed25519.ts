/**
 * One instruction of the ed25519 precompile that verifies several receipts. It must be right before the
 * settleVerified instruction of the same transaction. Node's and web3.js' own builder takes one signature only.
 */
import { Ed25519Program, TransactionInstruction } from '@solana/web3.js';
import type { PublicKey } from '@solana/web3.js';
import { Writer } from '../../../core/codec.ts';
import { MAX_VERIFIED_RECEIPTS, RECEIPT_BYTES } from './layout.ts';

const HEADER_BYTES = 2;
const OFFSETS_BYTES = 14;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** "In this very instruction": the program refuses any other value. */
const THIS_INSTRUCTION = 0xffff;

export interface SignedReceiptBytes {
  /** The channel's delegate key. */
  readonly delegate: PublicKey;
  /** 47 bytes. */
  readonly message: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** @throws RangeError for an empty or over-long batch and for parts of a wrong length. */
export function ed25519BatchInstruction(receipts: readonly SignedReceiptBytes[]): TransactionInstruction {
  if (receipts.length === 0 || receipts.length > MAX_VERIFIED_RECEIPTS) {
    throw new RangeError(`a batch has 1 to ${MAX_VERIFIED_RECEIPTS} receipts, this one ${receipts.length}`);
  }
  const tableEnd = HEADER_BYTES + OFFSETS_BYTES * receipts.length;
  const each = KEY_BYTES + SIGNATURE_BYTES + RECEIPT_BYTES;
  const writer = new Writer(tableEnd + each * receipts.length).u8(receipts.length).u8(0);
  for (let index = 0; index < receipts.length; index += 1) {
    const start = tableEnd + each * index;
    writer.u16(start + KEY_BYTES).u16(THIS_INSTRUCTION);
    writer.u16(start).u16(THIS_INSTRUCTION);
    writer
      .u16(start + KEY_BYTES + SIGNATURE_BYTES)
      .u16(RECEIPT_BYTES)
      .u16(THIS_INSTRUCTION);
  }
  for (const { delegate, message, signature } of receipts) {
    if (signature.length !== SIGNATURE_BYTES || message.length !== RECEIPT_BYTES) {
      throw new RangeError(`a receipt has ${RECEIPT_BYTES} bytes and a signature of ${SIGNATURE_BYTES}`);
    }
    writer.bytes(delegate.toBytes()).bytes(signature).bytes(message);
  }
  return new TransactionInstruction({
    keys: [],
    programId: Ed25519Program.programId,
    data: Buffer.from(writer.finish()),
  });
}
