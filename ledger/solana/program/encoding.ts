/** How every instruction of the program is put together: one tag byte, then its fields; accounts in fixed order. */
import { TransactionInstruction } from '@solana/web3.js';
import type { AccountMeta, PublicKey } from '@solana/web3.js';
import { Writer } from '../../../core/codec.ts';

/** First byte of the instruction data. Never reused. */
export const TAGS = {
  initialize: 0,
  buy: 1,
  redeem: 2,
  openTill: 3,
  openChannel: 4,
  topUp: 5,
  settle: 6,
  withdraw: 7,
  requestClose: 8,
  closeChannel: 9,
  registerName: 10,
  updateName: 11,
  distributeName: 12,
  settleVerified: 13,
  growTill: 14,
  closeTill: 15,
  configure: 16,
  collectFees: 17,
  commitName: 18,
  renewName: 19,
  transferName: 20,
  dropCommitment: 21,
  setTillTerms: 22,
  closeByPayee: 23,
  payClaim: 24,
  returnOpening: 25,
  setRecovery: 26,
  beginRecovery: 27,
  cancelRecovery: 28,
  finishRecovery: 29,
} as const;

/** No transaction holds more: settle with 64 receipts and eight shares needs at most 3,891 bytes. */
const MAX_DATA_BYTES = 4096;

export function encoder(tag: number): Writer {
  return new Writer(MAX_DATA_BYTES).u8(tag);
}

export function instruction(programId: PublicKey, data: Writer, keys: readonly AccountMeta[]): TransactionInstruction {
  return new TransactionInstruction({ programId, keys: [...keys], data: Buffer.from(data.finish()) });
}

export function read(pubkey: PublicKey): AccountMeta {
  return { pubkey, isSigner: false, isWritable: false };
}

export function write(pubkey: PublicKey): AccountMeta {
  return { pubkey, isSigner: false, isWritable: true };
}

export function signer(pubkey: PublicKey): AccountMeta {
  return { pubkey, isSigner: true, isWritable: false };
}

export function writeSigner(pubkey: PublicKey): AccountMeta {
  return { pubkey, isSigner: true, isWritable: true };
}
