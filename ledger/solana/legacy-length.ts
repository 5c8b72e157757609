/** How long a transaction of the older format is, and whether one packet holds it. */
import { PublicKey, Transaction } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_PACKET_BYTES } from './transaction-size.ts';

/** Its own blockhash does not matter: the node puts one in, or nothing is sent. */
export const NO_BLOCKHASH: { readonly blockhash: string; readonly lastValidBlockHeight: number } = {
  blockhash: PublicKey.default.toBase58(),
  lastValidBlockHeight: 0,
};

export function fitsPacket(instructions: readonly TransactionInstruction[], feePayer: PublicKey): boolean {
  return lengthOf(new Transaction({ feePayer, ...NO_BLOCKHASH }).add(...instructions)) <= MAX_PACKET_BYTES;
}

/** In bytes: signatures, then the message. web3.js itself only says "too large". */
export function lengthOf(transaction: Transaction): number {
  let message: Buffer;
  try {
    message = transaction.compileMessage().serialize();
  } catch (error) {
    // Its buffer is one packet: a longer transaction raises a RangeError.
    if (error instanceof RangeError) return MAX_PACKET_BYTES + 1;
    throw error;
  }
  const signers = message[0] ?? 0;
  return 1 + 64 * signers + message.length;
}

export function tooLong(length: number, most: number): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', `The transaction has ${length} bytes, more than ${most}.`, {
    remedy: 'Put less into it, for example fewer receipts or shares.',
    details: { length, most },
  });
}
