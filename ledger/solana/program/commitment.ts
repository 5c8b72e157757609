/** Instructions on commitments: a name is committed to before it is revealed, so that nobody who sees it can register it first. */
import { SystemProgram } from '@solana/web3.js';
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { commitmentAddress } from './addresses.ts';
import { TAGS, encoder, instruction, read, signer, write, writeSigner } from './encoding.ts';

export interface CommitNameArguments {
  /** Pays the rent, which comes back. Only this wallet can register the name with it. */
  readonly committer: PublicKey;
  /** From `commitmentHash`. */
  readonly hash: Uint8Array;
}

/** Creates the commitment. It can be revealed once it is as old as the bank asks, for a day. */
export function commitName(programId: PublicKey, args: CommitNameArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.commitName).bytes(args.hash), [
    writeSigner(args.committer),
    write(commitmentAddress(programId, args.committer, args.hash)),
    read(SystemProgram.programId),
  ]);
}

export interface DropCommitmentArguments {
  /** The committer; anybody once the commitment is older than a day. */
  readonly signer: PublicKey;
  readonly committer: PublicKey;
  readonly hash: Uint8Array;
}

/** Ends a commitment; its rent goes to the committer. */
export function dropCommitment(programId: PublicKey, args: DropCommitmentArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.dropCommitment), [
    signer(args.signer),
    write(commitmentAddress(programId, args.committer, args.hash)),
    write(args.committer),
  ]);
}
