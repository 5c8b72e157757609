/** Instructions of the bank: set-up, buying credits, redeeming them. */
import { TOKEN_PROGRAM_ID } from '@solana/spl-token';
import { PublicKey, SystemProgram } from '@solana/web3.js';
import type { TransactionInstruction } from '@solana/web3.js';
import type { Amount, Lamports } from '../../../core/units.ts';
import { bankAddress, creditAccountAddress, mintAddress, programDataAddress } from './addresses.ts';
import { TAGS, encoder, instruction, read, signer, write, writeSigner } from './encoding.ts';

export interface InitializeArguments {
  /** Pays the rent of the bank and the mint, and is recorded as admin. Must be the program's upgrade authority. */
  readonly admin: PublicKey;
  /** 16 bytes that tell this cluster from every other. */
  readonly clusterTag: Uint8Array;
  /** Base units of credit for one lamport, at least 1. Fixed for ever. */
  readonly unitsPerLamport: bigint;
  /** 1 second .. 90 days. */
  readonly challengeSeconds: bigint;
  /** What a name costs a year, base units. Default 0. */
  readonly nameYearPrice?: Amount | undefined;
  /** How old a commitment to a name must be when it is revealed, 1 second .. 1 hour. Default 60. */
  readonly commitSeconds?: number | undefined;
  /** What the treasury gets of every settlement, basis points, at most 1,000. Default 0. */
  readonly feeBps?: number | undefined;
  /** Whose token account fees may be minted to; the admin when absent. */
  readonly treasury?: PublicKey | undefined;
}

/** Longer than a transaction takes to be seen and copied. */
const DEFAULT_COMMIT_SECONDS = 60;

/** Creates the bank and the credit mint. Succeeds once per program. */
export function initialize(programId: PublicKey, args: InitializeArguments): TransactionInstruction {
  if (args.clusterTag.length !== 16) throw new RangeError(`a cluster tag has 16 bytes, not ${args.clusterTag.length}`);
  const data = encoder(TAGS.initialize)
    .bytes(args.clusterTag)
    .u64(args.unitsPerLamport)
    .u64(args.challengeSeconds)
    .u64(args.nameYearPrice ?? 0n)
    .u32(args.commitSeconds ?? DEFAULT_COMMIT_SECONDS)
    .u16(args.feeBps ?? 0)
    .bytes((args.treasury ?? args.admin).toBytes());
  return instruction(programId, data, [
    writeSigner(args.admin),
    write(bankAddress(programId)),
    write(mintAddress(programId)),
    read(TOKEN_PROGRAM_ID),
    read(SystemProgram.programId),
    read(programDataAddress(programId)),
  ]);
}

export interface BuyArguments {
  readonly buyer: PublicKey;
  readonly lamports: Lamports;
  /** Any token account of the credit mint; the buyer's associated one when absent. It must exist. */
  readonly destination?: PublicKey | undefined;
}

/** Lamports to the bank, credits at its fixed price to `destination`. */
export function buy(programId: PublicKey, args: BuyArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.buy).u64(args.lamports), [
    writeSigner(args.buyer),
    write(bankAddress(programId)),
    write(mintAddress(programId)),
    write(args.destination ?? creditAccountAddress(programId, args.buyer)),
    read(TOKEN_PROGRAM_ID),
    read(SystemProgram.programId),
  ]);
}

export interface RedeemArguments {
  readonly owner: PublicKey;
  /** A multiple of the bank's units per lamport. */
  readonly amount: Amount;
  /** The owner's token account; the associated one when absent. */
  readonly source?: PublicKey | undefined;
}

/** Burns credits; their lamports go from the bank to the owner. */
export function redeem(programId: PublicKey, args: RedeemArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.redeem).u64(args.amount), [
    writeSigner(args.owner),
    write(bankAddress(programId)),
    write(mintAddress(programId)),
    write(args.source ?? creditAccountAddress(programId, args.owner)),
    read(TOKEN_PROGRAM_ID),
  ]);
}

export interface WithdrawArguments {
  readonly owner: PublicKey;
  readonly till: PublicKey;
  /** A token account that belongs to the owner; the associated one when absent. It must exist. */
  readonly destination?: PublicKey | undefined;
}

/** Mints what the till earned to its owner. Nothing earned: nothing happens. */
export function withdraw(programId: PublicKey, args: WithdrawArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.withdraw), [
    signer(args.owner),
    write(args.till),
    write(bankAddress(programId)),
    write(mintAddress(programId)),
    write(args.destination ?? creditAccountAddress(programId, args.owner)),
    read(TOKEN_PROGRAM_ID),
  ]);
}

/** The bank's settings that may change; an absent one stays as it is. */
export interface ConfigureArguments {
  readonly admin: PublicKey;
  /** Basis points, at most 1,000. */
  readonly feeBps?: number | undefined;
  /** Fees that were not collected yet go to the new one as well. */
  readonly treasury?: PublicKey | undefined;
  /** Base units. */
  readonly nameYearPrice?: Amount | undefined;
  /** 1 second .. 1 hour. */
  readonly commitSeconds?: number | undefined;
  /** The wallet that may configure from now on; it must also sign. `null`: nobody, for ever. */
  readonly newAdmin?: PublicKey | null | undefined;
}

const CONFIGURE_FEE = 1;
const CONFIGURE_TREASURY = 2;
const CONFIGURE_NAME_YEAR_PRICE = 4;
const CONFIGURE_COMMIT_SECONDS = 8;
const CONFIGURE_ADMIN = 16;

/**
 * Changes the fields that are given.
 * @throws RangeError when there are none.
 */
export function configure(programId: PublicKey, args: ConfigureArguments): TransactionInstruction {
  const { admin, feeBps, treasury, nameYearPrice, commitSeconds, newAdmin } = args;
  const flags =
    (feeBps === undefined ? 0 : CONFIGURE_FEE) |
    (treasury === undefined ? 0 : CONFIGURE_TREASURY) |
    (nameYearPrice === undefined ? 0 : CONFIGURE_NAME_YEAR_PRICE) |
    (commitSeconds === undefined ? 0 : CONFIGURE_COMMIT_SECONDS) |
    (newAdmin === undefined ? 0 : CONFIGURE_ADMIN);
  if (flags === 0) throw new RangeError('configure changes at least one setting');
  const data = encoder(TAGS.configure).u8(flags);
  if (feeBps !== undefined) data.u16(feeBps);
  if (treasury !== undefined) data.bytes(treasury.toBytes());
  if (nameYearPrice !== undefined) data.u64(nameYearPrice);
  if (commitSeconds !== undefined) data.u32(commitSeconds);
  if (newAdmin !== undefined) data.bytes((newAdmin ?? PublicKey.default).toBytes());
  return instruction(programId, data, [
    signer(admin),
    write(bankAddress(programId)),
    newAdmin === undefined || newAdmin === null ? read(programId) : signer(newAdmin),
  ]);
}

export interface CollectFeesArguments {
  readonly treasury: PublicKey;
  /** A token account that belongs to the treasury; the associated one when absent. It must exist. */
  readonly destination?: PublicKey | undefined;
}

/** Mints the fees taken so far to the treasury. Anyone may send it; nothing there: nothing happens. */
export function collectFees(programId: PublicKey, args: CollectFeesArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.collectFees), [
    write(bankAddress(programId)),
    write(mintAddress(programId)),
    write(args.destination ?? creditAccountAddress(programId, args.treasury)),
    read(TOKEN_PROGRAM_ID),
  ]);
}
