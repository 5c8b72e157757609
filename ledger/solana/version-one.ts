/**
 * Transactions of version 1 (SIMD-0385), which may have 4,096 bytes. web3.js cannot build them; kit does. What they may use
 * and what they bid stands in their header instead of instructions of their own.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import {
  AccountRole,
  address,
  appendTransactionMessageInstructions,
  blockhash as toBlockhash,
  compileTransaction,
  createTransactionMessage,
  getTransactionDecoder,
  getTransactionEncoder,
  lamports as toKitLamports,
  pipe,
  setTransactionMessageComputeUnitLimit,
  setTransactionMessageFeePayer,
  setTransactionMessageLifetimeUsingBlockhash,
  setTransactionMessageLoadedAccountsDataSizeLimit,
  setTransactionMessagePriorityFeeLamports,
  signatureBytes,
} from '@solana/kit';
import type { Instruction, Transaction } from '@solana/kit';
import { PublicKey, SystemProgram } from '@solana/web3.js';
import type { Keypair, TransactionInstruction } from '@solana/web3.js';
import { lamports } from '../../core/units.ts';
import type { Lamports } from '../../core/units.ts';

/** First byte of such a transaction; of any other it is the number of signatures, below 128. */
const VERSION_ONE = 0x81;
const SEED_BYTES = 32;
/** The most instructions there may be. So many transfers, of nothing, are longer than a transaction of the older format. */
const TRIAL_TRANSFERS = 64;
const TRANSFER_UNITS = 150;
const TRIAL_LOADED_BYTES = 64 * 1024;

export interface VersionOneParts {
  readonly payer: PublicKey;
  readonly instructions: readonly TransactionInstruction[];
  readonly blockhash: string;
  /** Most compute units. Without it there would be none at all. */
  readonly units: number;
  /** Most bytes of accounts and programs. Without it there would be none at all. */
  readonly loadedBytes: number;
  /** The whole bid, not one for each unit. */
  readonly bid: Lamports;
}

/** Is this signed transaction one of version 1? */
export function isVersionOne(wire: Uint8Array): boolean {
  return wire[0] === VERSION_ONE;
}

/** Signed by its payer, who must be the only signer. */
export function signVersionOne(parts: Omit<VersionOneParts, 'payer'>, payer: Keypair): Uint8Array {
  const unsigned = compiled({ ...parts, payer: payer.publicKey });
  const signature = ed25519.sign(Uint8Array.from(unsigned.messageBytes), payer.secretKey.subarray(0, SEED_BYTES));
  const signatures = { [payer.publicKey.toBase58()]: signatureBytes(signature) };
  return Uint8Array.from(getTransactionEncoder().encode({ ...unsigned, signatures }));
}

/** A transaction that does nothing, unsigned, and too long for the older format: for a trial run, whatever its blockhash. */
export function trialOfVersionOne(payer: PublicKey): Uint8Array {
  const nothing = SystemProgram.transfer({ fromPubkey: payer, toPubkey: payer, lamports: 0 });
  const trial = compiled({
    payer,
    instructions: Array.from({ length: TRIAL_TRANSFERS }, () => nothing),
    blockhash: PublicKey.default.toBase58(),
    units: TRIAL_TRANSFERS * TRANSFER_UNITS,
    loadedBytes: TRIAL_LOADED_BYTES,
    bid: lamports(0n),
  });
  return Uint8Array.from(getTransactionEncoder().encode(trial));
}

/** What the signers of a transaction sign, of whatever version it is. */
export function messageOfWire(wire: Uint8Array): Uint8Array {
  return Uint8Array.from(getTransactionDecoder().decode(wire).messageBytes);
}

function compiled({ payer, instructions, blockhash, units, loadedBytes, bid }: VersionOneParts): Transaction {
  // The sender waits for a block height; the message holds only the hash.
  const lifetime = { blockhash: toBlockhash(blockhash), lastValidBlockHeight: 0n };
  return compileTransaction(
    pipe(
      createTransactionMessage({ version: 1 }),
      (draft) => setTransactionMessageFeePayer(address(payer.toBase58()), draft),
      (draft) => setTransactionMessageLifetimeUsingBlockhash(lifetime, draft),
      (draft) => setTransactionMessageComputeUnitLimit(units, draft),
      (draft) => setTransactionMessageLoadedAccountsDataSizeLimit(loadedBytes, draft),
      (draft) => setTransactionMessagePriorityFeeLamports(toKitLamports(bid), draft),
      (draft) => appendTransactionMessageInstructions(instructions.map(kitInstruction), draft),
    ),
  );
}

/** The same instruction in the words of @solana/kit. */
export function kitInstruction({ programId, keys, data }: TransactionInstruction): Instruction {
  return {
    programAddress: address(programId.toBase58()),
    accounts: keys.map(({ pubkey, isSigner, isWritable }) => ({
      address: address(pubkey.toBase58()),
      role: roleOf(isSigner, isWritable),
    })),
    data: Uint8Array.from(data),
  };
}

function roleOf(isSigner: boolean, isWritable: boolean): AccountRole {
  if (isSigner) return isWritable ? AccountRole.WRITABLE_SIGNER : AccountRole.READONLY_SIGNER;
  return isWritable ? AccountRole.WRITABLE : AccountRole.READONLY;
}
