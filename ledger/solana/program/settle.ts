/** The two instructions that settle a batch of receipts: half-aggregated, or verified by the ed25519 precompile. */
import { SYSVAR_INSTRUCTIONS_PUBKEY } from '@solana/web3.js';
import type { AccountMeta, PublicKey, TransactionInstruction } from '@solana/web3.js';
import { namesIn } from '../../../core/attribution.ts';
import type { Writer } from '../../../core/codec.ts';
import { amount as toAmount } from '../../../core/units.ts';
import type { Amount } from '../../../core/units.ts';
import { bankAddress, nameAddress } from './addresses.ts';
import { TAGS, encoder, instruction, read, signer, write } from './encoding.ts';
import { MAX_BATCH_RECEIPTS, MAX_BATCH_SHARES, MAX_VERIFIED_RECEIPTS } from './layout.ts';

const HEADER_BYTES = 3;
const HALF_BYTES = 32;
/** The header holds 15 bits of it. */
const MAX_SLOT = 0x7fff;
/** In a referrer's place: none. */
const NO_NAME = 0xff;

export interface SettleShare {
  readonly name: string;
  /** The name of the site that showed it; another than `name`. */
  readonly referrer?: string | undefined;
  /** What the name's content earned within this batch, before its royalty is taken. More than 0. */
  readonly gross: Amount;
  /** The greatest royalty that the seller agrees to, basis points, at most 10,000. The name's own counts when it is lower. */
  readonly maxRoyaltyBps: number;
}

/** A receipt without what the program knows: its channel and key. */
export interface SettleReceipt {
  readonly slot: number;
  readonly amount: Amount;
  readonly up: bigint;
  readonly down: bigint;
  /** First half of its signature, 32 bytes. */
  readonly r: Uint8Array;
}

interface Shared {
  readonly till: PublicKey;
  /** The till's owner. It must sign when there are shares: only the seller may say which content it sold. */
  readonly owner?: PublicKey | undefined;
  readonly shares?: readonly SettleShare[] | undefined;
}

export interface SettleArguments extends Shared {
  readonly receipts: readonly SettleReceipt[];
  /** The receipts' second halves together, in this order: 32 bytes, `aggregateSignatures`. */
  readonly scalar: Uint8Array;
}

export interface SettleVerifiedArguments extends Shared {
  /** The slot of each receipt, in the order of the ed25519 instruction right before this one. */
  readonly slots: readonly number[];
}

/**
 * Credits a batch of receipts to the till and royalties to the names. The program verifies the receipts itself; its
 * work is about 10,000 compute units a receipt.
 * @throws RangeError for an empty or over-long batch, shares without an owner, or what does not fit its field.
 */
export function settle(programId: PublicKey, args: SettleArguments): TransactionInstruction {
  requireCount(args.receipts.length, MAX_BATCH_RECEIPTS);
  if (args.scalar.length !== HALF_BYTES) throw new RangeError(`a scalar has ${HALF_BYTES} bytes`);
  const data = encoder(TAGS.settle).u8(args.receipts.length).bytes(args.scalar);
  for (const receipt of args.receipts) writeReceipt(data, receipt);
  writeShares(data, args);
  return instruction(programId, data, [
    write(args.till),
    write(bankAddress(programId)),
    ...ownerAndNames(programId, args),
  ]);
}

/**
 * As `settle`, of receipts that the precompile verifies: put `ed25519BatchInstruction` of the same receipts right before
 * it. The network charges a signature's fee for each of them.
 * @throws RangeError for an empty or over-long batch, or shares without an owner.
 */
export function settleVerified(programId: PublicKey, args: SettleVerifiedArguments): TransactionInstruction {
  requireCount(args.slots.length, MAX_VERIFIED_RECEIPTS);
  const data = encoder(TAGS.settleVerified).u8(args.slots.length);
  for (const slot of args.slots) data.u16(slot);
  writeShares(data, args);
  return instruction(programId, data, [
    write(args.till),
    write(bankAddress(programId)),
    read(SYSVAR_INSTRUCTIONS_PUBKEY),
    ...ownerAndNames(programId, args),
  ]);
}

/** Bytes that a receipt takes in `settle`. */
export function settleReceiptBytes({ amount, up, down }: Pick<SettleReceipt, 'amount' | 'up' | 'down'>): number {
  return HEADER_BYTES + byteLength(amount) + byteLength(up) + byteLength(down) + HALF_BYTES;
}

/** Header u24 (slot 15 bits, then the three lengths less one in 3 bits each), the three numbers, R. */
function writeReceipt(data: Writer, { slot, amount, up, down, r }: SettleReceipt): void {
  if (slot > MAX_SLOT) throw new RangeError(`a slot is at most ${MAX_SLOT}`);
  if (r.length !== HALF_BYTES) throw new RangeError(`half a signature has ${HALF_BYTES} bytes`);
  const numbers = [amount, up, down];
  const lengths = numbers.map(byteLength);
  const header = lengths.reduce((bits, length, index) => bits | ((length - 1) << (15 + 3 * index)), slot);
  data.u16(header & 0xffff).u8(header >>> 16);
  for (const [index, value] of numbers.entries()) {
    for (let left = lengths[index] ?? 0, rest = value; left > 0; left -= 1, rest >>= 8n) data.u8(Number(rest & 0xffn));
  }
  data.bytes(r);
}

/** 1 .. 8. @throws RangeError when it leaves the u64 range. */
function byteLength(value: bigint): number {
  return Math.ceil(toAmount(value).toString(16).length / 2);
}

function requireCount(count: number, max: number): void {
  if (count === 0 || count > max) throw new RangeError(`a batch has 1 to ${max} receipts, this one ${count}`);
}

function writeShares(data: Writer, { owner, shares = [] }: Shared): void {
  if (shares.length > MAX_BATCH_SHARES) throw new RangeError(`a batch has at most ${MAX_BATCH_SHARES} shares`);
  if (shares.length > 0 && owner === undefined) throw new RangeError('shares need the till owner to sign');
  data.u8(shares.length);
  const places = new Map(namesIn(shares).map((name, place) => [name, place]));
  for (const { name, referrer, gross, maxRoyaltyBps } of shares) {
    data.u8(places.get(name) ?? NO_NAME).u8(referrer === undefined ? NO_NAME : (places.get(referrer) ?? NO_NAME));
    data.u64(gross).u16(maxRoyaltyBps);
  }
}

function ownerAndNames(programId: PublicKey, { owner, shares = [] }: Shared): readonly AccountMeta[] {
  return [
    owner === undefined || shares.length === 0 ? read(programId) : signer(owner),
    ...namesIn(shares).map((name) => write(nameAddress(programId, name))),
  ];
}
