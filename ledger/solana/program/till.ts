/** Instructions on a till and its channels. */
import { TOKEN_PROGRAM_ID } from '@solana/spl-token';
import { SystemProgram } from '@solana/web3.js';
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { lamports } from '../../../core/units.ts';
import type { Amount, Lamports } from '../../../core/units.ts';
import { bankAddress, claimAddress, creditAccountAddress, mintAddress, tillAddress } from './addresses.ts';
import { TAGS, encoder, instruction, read, signer, write, writeSigner } from './encoding.ts';

export interface OpenTillArguments {
  /** Pays the rent. */
  readonly owner: PublicKey;
  /** 1 .. 74; `growTill` adds more, in the same transaction if wanted. */
  readonly slots: number;
  /** The least deposit of a channel. Default 0; a deposit is never 0. */
  readonly minDeposit?: Amount | undefined;
  /** The least opening payment of a channel. Default 0. */
  readonly opening?: Amount | undefined;
}

export function openTill(programId: PublicKey, args: OpenTillArguments): TransactionInstruction {
  const data = encoder(TAGS.openTill)
    .u16(args.slots)
    .u64(args.minDeposit ?? 0n)
    .u64(args.opening ?? 0n);
  return instruction(programId, data, [
    writeSigner(args.owner),
    write(tillAddress(programId, args.owner)),
    read(SystemProgram.programId),
  ]);
}

export interface GrowTillArguments {
  /** Pays the rent of what is new. */
  readonly owner: PublicKey;
  /** How many the till has afterwards: 1 to 74 more than before, at most 1,024. Sending it twice grows once. */
  readonly slots: number;
}

export function growTill(programId: PublicKey, args: GrowTillArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.growTill).u16(args.slots), [
    writeSigner(args.owner),
    write(tillAddress(programId, args.owner)),
    read(SystemProgram.programId),
  ]);
}

export interface SetTillTermsArguments {
  readonly owner: PublicKey;
  readonly minDeposit: Amount;
  readonly opening: Amount;
}

/** The least deposit and opening payment of channels from now on; what openers put down is refreshed as well. */
export function setTillTerms(programId: PublicKey, args: SetTillTermsArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.setTillTerms).u64(args.minDeposit).u64(args.opening), [
    signer(args.owner),
    write(tillAddress(programId, args.owner)),
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
  /** More than 0, and at least the till's least. */
  readonly deposit: Amount;
  /** What the payer stakes, at least the till's opening payment. Default 0. */
  readonly opening?: Amount | undefined;
  /** The payer's token account; the associated one when absent. */
  readonly source?: PublicKey | undefined;
}

/** Puts down the till's slot rent. It must stand before `openChannel`, in the same transaction. */
export function paySlotRent(programId: PublicKey, payer: PublicKey, slotRent: Lamports): TransactionInstruction {
  return SystemProgram.transfer({ fromPubkey: payer, toPubkey: bankAddress(programId), lamports: slotRent });
}

/** Burns deposit and opening payment into the slot. `paySlotRent` must go before it. */
export function openChannel(programId: PublicKey, args: OpenChannelArguments): TransactionInstruction {
  const data = encoder(TAGS.openChannel)
    .u16(args.slot)
    .bytes(args.delegate.toBytes())
    .u64(args.deposit)
    .u64(args.opening ?? 0n);
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
  /** For the deposit. */
  readonly amount: Amount;
  /** For the opening payment. Default 0; not both may be 0. */
  readonly opening?: Amount | undefined;
  /** The funder's token account; the associated one when absent. */
  readonly source?: PublicKey | undefined;
}

/** Adds to a channel's deposit or its opening payment. It does not cancel a close request. */
export function topUp(programId: PublicKey, args: TopUpArguments): TransactionInstruction {
  const data = encoder(TAGS.topUp)
    .u16(args.slot)
    .u32(args.generation)
    .u64(args.amount)
    .u64(args.opening ?? 0n);
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

/**
 * Mints the unspent deposit back to the payer, returns its slot rent and frees the slot; its generation rises. What the payee has
 * not returned of the opening payment comes back too when it signs, and is nobody's when it does not.
 */
export function closeChannel(programId: PublicKey, args: CloseChannelArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.closeChannel).u16(args.slot).u32(args.generation), [
    writeSigner(args.payer),
    write(args.till),
    write(bankAddress(programId)),
    write(mintAddress(programId)),
    write(args.destination ?? creditAccountAddress(programId, args.payer)),
    read(TOKEN_PROGRAM_ID),
    args.tillOwner === undefined ? read(programId) : signer(args.tillOwner),
  ]);
}

/** What returning an opening payment costs its payer, lamports: the network's fee for a signature. */
export const RETURN_FEE: Lamports = lamports(5_000n);

export interface ReturnOpeningArguments {
  /** The till's owner. */
  readonly owner: PublicKey;
  readonly slot: number;
  readonly generation: number;
  /** More than 0, at most the channel's opening payment. */
  readonly amount: Amount;
}

/**
 * Turns this much of a channel's opening payment into deposit: the payer gets it back at the close. Of a payer that asked to close, and
 * gets all of it back, `RETURN_FEE` of the slot's rent goes to the owner, unless the opening payment is worth less than twice that.
 */
export function returnOpening(programId: PublicKey, args: ReturnOpeningArguments): TransactionInstruction {
  const data = encoder(TAGS.returnOpening).u16(args.slot).u32(args.generation).u64(args.amount);
  return instruction(programId, data, [
    writeSigner(args.owner),
    write(tillAddress(programId, args.owner)),
    write(bankAddress(programId)),
  ]);
}

export interface CloseByPayeeArguments {
  /** The till's owner. Pays what the claim's rent exceeds the slot's by, should the cluster's price have risen since. */
  readonly owner: PublicKey;
  readonly slot: number;
  readonly generation: number;
  /** The channel's payer. */
  readonly payer: PublicKey;
}

/**
 * Closes a channel of the owner's till at once. The rest of the deposit and the slot rent become the payer's claim; what the
 * payee has not settled before is lost to it, and what it has not returned of the opening payment is nobody's.
 */
export function closeByPayee(programId: PublicKey, args: CloseByPayeeArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.closeByPayee).u16(args.slot).u32(args.generation), [
    writeSigner(args.owner),
    write(tillAddress(programId, args.owner)),
    write(bankAddress(programId)),
    write(claimAddress(programId, args.payer)),
    read(SystemProgram.programId),
  ]);
}

export interface PayClaimArguments {
  readonly payer: PublicKey;
  /** A token account that belongs to the payer; the associated one when absent. It must exist. */
  readonly destination?: PublicKey | undefined;
}

/** Gives a payer what its claim holds: credits and lamports. Anyone may send it. */
export function payClaim(programId: PublicKey, args: PayClaimArguments): TransactionInstruction {
  return instruction(programId, encoder(TAGS.payClaim), [
    write(args.payer),
    write(claimAddress(programId, args.payer)),
    write(bankAddress(programId)),
    write(mintAddress(programId)),
    write(args.destination ?? creditAccountAddress(programId, args.payer)),
    read(TOKEN_PROGRAM_ID),
  ]);
}
