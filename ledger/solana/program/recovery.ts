/** Instructions that get a name back whose owner's wallet is lost. */
import { PublicKey, SystemProgram } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { nameAddress } from './addresses.ts';
import { TAGS, encoder, instruction, read, signer, write, writeSigner } from './encoding.ts';

export interface SetRecoveryArguments {
  /** Pays the rent of a name that has no room for it yet. */
  readonly owner: PublicKey;
  readonly name: string;
  /** Another wallet than the owner's; none when absent. */
  readonly key?: PublicKey | undefined;
  /** Seconds, within `RECOVERY_DELAYS`; 0 without a key. */
  readonly delay: number;
}

/** Sets the wallet that may get the name to another one, or takes it away. It ends a recovery that was begun. */
export function setRecovery(programId: PublicKey, args: SetRecoveryArguments): TransactionInstruction {
  const data = encoder(TAGS.setRecovery)
    .bytes((args.key ?? PublicKey.default).toBytes())
    .u32(args.delay);
  return instruction(programId, data, [
    writeSigner(args.owner),
    write(nameAddress(programId, args.name)),
    read(SystemProgram.programId),
  ]);
}

export interface BeginRecoveryArguments {
  /** The recovery key. */
  readonly key: PublicKey;
  readonly name: string;
  readonly newOwner: PublicKey;
}

/** Says who gets the name once the delay is over. */
export function beginRecovery(programId: PublicKey, args: BeginRecoveryArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.beginRecovery).bytes(args.newOwner.toBytes()), [
    signer(args.key),
    write(nameAddress(programId, args.name)),
  ]);
}

export interface CancelRecoveryArguments {
  /** The owner, or the recovery key. */
  readonly signer: PublicKey;
  readonly name: string;
}

/** Ends what was begun; the recovery key stays. */
export function cancelRecovery(programId: PublicKey, args: CancelRecoveryArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.cancelRecovery), [
    signer(args.signer),
    write(nameAddress(programId, args.name)),
  ]);
}

export interface FinishRecoveryArguments {
  readonly name: string;
}

/** Gives the name to its new owner, after the delay. Anybody may. */
export function finishRecovery(programId: PublicKey, args: FinishRecoveryArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.finishRecovery), [write(nameAddress(programId, args.name))]);
}
