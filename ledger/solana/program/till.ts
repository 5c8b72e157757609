/** Instructions on a till and its channels. */
import { TOKEN_PROGRAM_ID } from '@solana/spl-token';
import { SystemProgram } from '@solana/web3.js';
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import type { Amount } from '../../../core/units.ts';
import { bankAddress, creditAccountAddress, mintAddress, tillAddress } from './addresses.ts';
import { TAGS, encoder, instruction, read, signer, write, writeSigner } from './encoding.ts';

export interface OpenTillArguments {
  /** Pays the rent. */
  readonly owner: PublicKey;
  /** 1 .. 90; `growTill` adds more, in the same transaction if wanted. */
  readonly slots: number;
}

export function openTill(programId: PublicKey, args: OpenTillArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.openTill).u16(args.slots), [
    writeSigner(args.owner),
    write(tillAddress(programId, args.owner)),
    read(SystemProgram.programId),
  ]);
}

export interface GrowTillArguments {
  /** Pays the rent of what is new. */
  readonly owner: PublicKey;
  /** How many the till has afterwards: 1 to 90 more than before, at most 1,024. Sending it twice grows once. */
  readonly slots: number;
}

export function growTill(programId: PublicKey, args: GrowTillArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.growTill).u16(args.slots), [
    writeSigner(args.owner),
    write(tillAddress(programId, args.owner)),
    read(SystemProgram.programId),
  ]);
}

export interface CloseTillArguments {
  /** Gets the rent back. */
  readonly owner: PublicKey;
}

/** Ends a till without open channels and earnings. It may be opened again; no channel id comes back. */
export function closeTill(programId: PublicKey, args: CloseTillArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.closeTill), [
    writeSigner(args.owner),
    write(tillAddress(programId, args.owner)),
  ]);
}

export interface OpenChannelArguments {
  readonly payer: PublicKey;
  readonly till: PublicKey;
  /** A free slot. */
  readonly slot: number;
  /** The Ed25519 key that will sign this channel's receipts. */
  readonly delegate: PublicKey;
  /** More than 0. */
  readonly deposit: Amount;
  /** The payer's token account; the associated one when absent. */
  readonly source?: PublicKey | undefined;
}

/** Burns the deposit into the slot. */
export function openChannel(programId: PublicKey, args: OpenChannelArguments): TransactionInstruction {
  const data = encoder(TAGS.openChannel).u16(args.slot).bytes(args.delegate.toBytes()).u64(args.deposit);
  return instruction(programId, data, [
    signer(args.payer),
    write(args.till),
    write(bankAddress(programId)),
    write(mintAddress(programId)),
    write(args.source ?? creditAccountAddress(programId, args.payer)),
    read(TOKEN_PROGRAM_ID),
  ]);
}

export interface TopUpArguments {
  /** Anyone: burns own credits for the channel's payer. */
  readonly funder: PublicKey;
  readonly till: PublicKey;
  readonly slot: number;
  readonly generation: number;
  readonly amount: Amount;
  /** The funder's token account; the associated one when absent. */
  readonly source?: PublicKey | undefined;
}

/** Adds to a channel's deposit. It does not cancel a close request. */
export function topUp(programId: PublicKey, args: TopUpArguments): TransactionInstruction {
  const data = encoder(TAGS.topUp).u16(args.slot).u32(args.generation).u64(args.amount);
  return instruction(programId, data, [
    signer(args.funder),
    write(args.till),
    write(bankAddress(programId)),
    write(mintAddress(programId)),
    write(args.source ?? creditAccountAddress(programId, args.funder)),
    read(TOKEN_PROGRAM_ID),
  ]);
}

export interface RequestCloseArguments {
  readonly payer: PublicKey;
  readonly till: PublicKey;
  readonly slot: number;
  readonly generation: number;
}

/** Starts the challenge period after which the payer may close without the payee. */
export function requestClose(programId: PublicKey, args: RequestCloseArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.requestClose).u16(args.slot).u32(args.generation), [
    signer(args.payer),
    write(args.till),
    read(bankAddress(programId)),
  ]);
}

export interface CloseChannelArguments extends RequestCloseArguments {
  /** The till's owner: when it signs too, no challenge period is needed. */
  readonly tillOwner?: PublicKey | undefined;
  /** The payer's token account; the associated one when absent. It must exist. */
  readonly destination?: PublicKey | undefined;
}

/** Mints the unspent deposit back to the payer and frees the slot; its generation rises. */
export function closeChannel(programId: PublicKey, args: CloseChannelArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.closeChannel).u16(args.slot).u32(args.generation), [
    signer(args.payer),
    write(args.till),
    write(bankAddress(programId)),
    write(mintAddress(programId)),
    write(args.destination ?? creditAccountAddress(programId, args.payer)),
    read(TOKEN_PROGRAM_ID),
    args.tillOwner === undefined ? read(programId) : signer(args.tillOwner),
  ]);
}
