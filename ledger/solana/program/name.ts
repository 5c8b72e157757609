/** Instructions on names. */
import { TOKEN_PROGRAM_ID } from '@solana/spl-token';
import { SystemProgram } from '@solana/web3.js';
import type { AccountMeta, PublicKey, TransactionInstruction } from '@solana/web3.js';
import type { Writer } from '../../../core/codec.ts';
import type { Amount } from '../../../core/units.ts';
import {
  bankAddress,
  commitmentAddress,
  commitmentHash,
  creditAccountAddress,
  mintAddress,
  nameAddress,
  nameBytes,
} from './addresses.ts';
import { TAGS, encoder, instruction, read, signer, write, writeSigner } from './encoding.ts';
import { BPS_WHOLE, MAX_ROOT_BYTES, MAX_SPLITS } from './layout.ts';

export interface SplitShare {
  readonly account: PublicKey;
  /** Basis points, 1 .. 10,000. All splits of a name sum to 10,000 and no account comes twice. */
  readonly bps: number;
}

export interface RegisterNameArguments {
  /** Pays rent and price, and made the commitment. */
  readonly owner: PublicKey;
  /** `label.tld`. */
  readonly name: string;
  /** The 32 bytes of the commitment. */
  readonly salt: Uint8Array;
  /** 1 .. 10. */
  readonly years: number;
  /** The most it may cost, base units. */
  readonly maxPrice: Amount;
  /** Binary CID, 0 to 63 bytes. */
  readonly root: Uint8Array;
  readonly manifest?: Uint8Array | undefined;
  /** 0 .. 10,000. */
  readonly royaltyBps: number;
  /** What of the royalty goes to referrers, 0 .. 10,000; 0 when absent. */
  readonly referrerBps?: number | undefined;
  /** May change root and manifest; the owner when absent. */
  readonly manager?: PublicKey | undefined;
  /** Everything to the owner when absent. */
  readonly splits?: readonly SplitShare[] | undefined;
}

/** Reveals a commitment: the name is the owner's from now on. Also takes a name whose grace period is over. */
export function registerName(programId: PublicKey, args: RegisterNameArguments): TransactionInstruction {
  const { owner, name, salt } = args;
  const data = encoder(TAGS.registerName).bytes(salt);
  putShort(data, nameBytes(name));
  data.u8(args.years).u64(args.maxPrice);
  putCid(data, args.root);
  putCid(data, args.manifest ?? new Uint8Array());
  data
    .u16(args.royaltyBps)
    .u16(args.referrerBps ?? 0)
    .bytes((args.manager ?? args.owner).toBytes());
  putSplits(data, args.splits ?? [{ account: args.owner, bps: BPS_WHOLE }]);
  return instruction(programId, data, [
    writeSigner(owner),
    write(nameAddress(programId, name)),
    write(commitmentAddress(programId, owner, commitmentHash(owner, salt, name))),
    write(bankAddress(programId)),
    ...purse(programId, owner),
    read(SystemProgram.programId),
  ]);
}

export interface RenewNameArguments {
  /** Anybody. */
  readonly payer: PublicKey;
  readonly name: string;
  /** Added to the present term; it ends at most 10 years from now. */
  readonly years: number;
  /** The most it may cost, base units. */
  readonly maxPrice: Amount;
}

/** Extends the term, in the grace period too. */
export function renewName(programId: PublicKey, args: RenewNameArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.renewName).u8(args.years).u64(args.maxPrice), [
    signer(args.payer),
    write(nameAddress(programId, args.name)),
    write(bankAddress(programId)),
    ...purse(programId, args.payer),
  ]);
}

export interface TransferNameArguments {
  readonly owner: PublicKey;
  readonly name: string;
  readonly newOwner: PublicKey;
}

/** Gives the name away. The new owner manages it; root, royalty and splits stay as they are. */
export function transferName(programId: PublicKey, args: TransferNameArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.transferName).bytes(args.newOwner.toBytes()), [
    signer(args.owner),
    write(nameAddress(programId, args.name)),
  ]);
}

export interface UpdateNameArguments {
  /** The owner; or the manager, who may change root and manifest only. */
  readonly signer: PublicKey;
  readonly name: string;
  /** The record's `seq` as last read: a change made in between makes the update fail. */
  readonly seq: bigint;
  readonly root?: Uint8Array | undefined;
  readonly manifest?: Uint8Array | undefined;
  readonly royaltyBps?: number | undefined;
  readonly manager?: PublicKey | undefined;
  /** Only while nothing is owed or undivided: distribute first. */
  readonly splits?: readonly SplitShare[] | undefined;
  readonly referrerBps?: number | undefined;
}

/** Changes the given fields and leaves the rest; `seq` rises by one. @throws RangeError when nothing is given. */
export function updateName(programId: PublicKey, args: UpdateNameArguments): TransactionInstruction {
  const { root, manifest, royaltyBps, manager, splits, referrerBps } = args;
  const flags = [root, manifest, royaltyBps, manager, splits, referrerBps].reduce<number>(
    (bits, field, index) => (field === undefined ? bits : bits | (1 << index)),
    0,
  );
  if (flags === 0) throw new RangeError('an update changes at least one field');
  const data = encoder(TAGS.updateName).u64(args.seq).u8(flags);
  if (root !== undefined) putCid(data, root);
  if (manifest !== undefined) putCid(data, manifest);
  if (royaltyBps !== undefined) data.u16(royaltyBps);
  if (manager !== undefined) data.bytes(manager.toBytes());
  if (splits !== undefined) putSplits(data, splits);
  if (referrerBps !== undefined) data.u16(referrerBps);
  return instruction(programId, data, [signer(args.signer), write(nameAddress(programId, args.name))]);
}

/** Where one split is paid to. */
export interface SplitPayout {
  readonly account: PublicKey;
  /** The account's associated token account when absent; `null` leaves this split owed. */
  readonly tokenAccount?: PublicKey | null | undefined;
}

export interface DistributeNameArguments {
  readonly name: string;
  /** Every split of the record, in its order. */
  readonly splits: readonly SplitPayout[];
}

/** Divides what the name accrued and mints it to every split with a usable token account; the others stay owed. */
export function distributeName(programId: PublicKey, args: DistributeNameArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.distributeName), [
    write(nameAddress(programId, args.name)),
    write(bankAddress(programId)),
    write(mintAddress(programId)),
    read(TOKEN_PROGRAM_ID),
    ...args.splits.map(({ account, tokenAccount }) =>
      tokenAccount === null ? read(programId) : write(tokenAccount ?? creditAccountAddress(programId, account)),
    ),
  ]);
}

/** What a price is taken from. The program does not look at it when there is none. */
function purse(programId: PublicKey, owner: PublicKey): readonly AccountMeta[] {
  return [write(mintAddress(programId)), write(creditAccountAddress(programId, owner)), read(TOKEN_PROGRAM_ID)];
}

function putShort(data: Writer, value: Uint8Array): void {
  data.u8(value.length).bytes(value);
}

function putCid(data: Writer, cid: Uint8Array): void {
  if (cid.length > MAX_ROOT_BYTES) {
    throw new RangeError(`a CID of ${cid.length} bytes does not fit the ${MAX_ROOT_BYTES} kept on chain`);
  }
  putShort(data, cid);
}

function putSplits(data: Writer, splits: readonly SplitShare[]): void {
  if (splits.length > MAX_SPLITS) throw new RangeError(`a name has at most ${MAX_SPLITS} splits`);
  data.u8(splits.length);
  for (const split of splits) data.bytes(split.account.toBytes()).u16(split.bps);
}
