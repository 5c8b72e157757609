/** On-chain account data, decoded with bounds and discriminator checks. */
import { PublicKey } from '@solana/web3.js';
import { Reader, equalBytes } from '../../../core/codec.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { amount, lamports, unixSeconds } from '../../../core/units.ts';
import type { Amount, Lamports, UnixSeconds } from '../../../core/units.ts';
import { DISCRIMINATORS, FIRST_NAME, MAX_SLOTS, MAX_SPLITS, SIZES, tillSize } from './layout.ts';

export interface BankAccount {
  readonly bump: number;
  /** All zeros once nobody may configure the bank any more. */
  readonly admin: PublicKey;
  /** 16 bytes. */
  readonly clusterTag: Uint8Array;
  readonly unitsPerLamport: bigint;
  readonly challengeSeconds: bigint;
  /** Running totals; they wrap at 2^64, so only their differences are amounts of money. */
  readonly bought: Amount;
  readonly redeemed: Amount;
  readonly burned: Amount;
  readonly minted: Amount;
  readonly openDeposits: Amount;
  readonly unminted: Amount;
  readonly reserve: Lamports;
  /** Whose token account `fees` may be minted to. */
  readonly treasury: PublicKey;
  /** Taken and not yet minted. */
  readonly fees: Amount;
  /** Base units a year. */
  readonly nameYearPrice: Amount;
  /** What the treasury gets of every settlement. */
  readonly feeBps: number;
  /** Ten-thousandths of a base unit of fee carried to the next settlement. */
  readonly feeCarry: number;
  /** How old a commitment to a name must be, seconds. */
  readonly commitSeconds: number;
  readonly lifetimeFees: Amount;
  /** Its own. */
  readonly address: PublicKey;
  readonly mint: PublicKey;
  /** Opening payments that were not returned: burned for good, and backed by the reserve for ever. */
  readonly forgone: Amount;
  /** What its own rent was when it was created. */
  readonly rent: Lamports;
  /** What the bank holds for the openers of open channels. */
  readonly slotRents: Lamports;
}

/** One slot of a till. A free slot keeps only its generation. */
export interface TillSlot {
  readonly slot: number;
  readonly open: boolean;
  readonly payer: PublicKey;
  readonly delegate: PublicKey;
  readonly deposit: Amount;
  readonly settled: Amount;
  /** Bytes payer to payee in the last settled receipt. */
  readonly up: bigint;
  readonly down: bigint;
  /** Starts at the cluster's slot when the till's slot was made and rises on each close: never the same twice. */
  readonly generation: number;
  /** When the payer may close alone; undefined while no close was requested. */
  readonly closeAt: UnixSeconds | undefined;
  /** The cluster's slot from which on the payer may close alone, once `closeAt` is over too; 0 while no close was requested. */
  readonly closeSlot: bigint;
  /** Burned beside the deposit, and held until the channel closes. */
  readonly opening: Amount;
  /** The rent that its opener gets back when it closes. */
  readonly rent: Lamports;
}

export interface TillAccount {
  readonly bump: number;
  readonly owner: PublicKey;
  /** Earned and not yet withdrawn. */
  readonly earned: Amount;
  readonly lifetimeEarned: Amount;
  /** Its own. */
  readonly address: PublicKey;
  /** The least deposit of a new channel. */
  readonly minDeposit: Amount;
  /** The least opening payment of a new channel. */
  readonly opening: Amount;
  /** What the opener of a channel puts down, and gets back when it closes. */
  readonly slotRent: Lamports;
  /** All slots, the free ones too. */
  readonly slots: readonly TillSlot[];
}

export interface NameSplit {
  readonly account: PublicKey;
  readonly bps: number;
  /** Divided and not yet minted. */
  readonly owed: Amount;
}

export interface NameAccount {
  readonly bump: number;
  readonly name: string;
  readonly owner: PublicKey;
  readonly manager: PublicKey;
  readonly registeredAt: UnixSeconds;
  /** undefined: never (registered before names had terms). */
  readonly expiresAt: UnixSeconds | undefined;
  readonly seq: bigint;
  /** Binary CID, 0 to 63 bytes. */
  readonly root: Uint8Array;
  readonly manifest: Uint8Array;
  readonly royaltyBps: number;
  /** Ten-thousandths of a base unit of royalty carried to the next share. */
  readonly royaltyCarry: number;
  /** What the site that shows the content elsewhere gets of the royalty, basis points; 0 for names from before this was. */
  readonly referrerBps: number;
  /** Ten-thousandths of a base unit carried to the next referrer's part. */
  readonly referrerCarry: number;
  readonly splits: readonly NameSplit[];
  /** Not yet divided among the splits. */
  readonly accrued: Amount;
  readonly lifetime: Amount;
  /** How often it was given to another wallet: tells one holder from the next. A recovery does not count. */
  readonly transfers: number;
  /** undefined: no recovery key is set. */
  readonly recovery: NameRecoveryFields | undefined;
}

export interface NameRecoveryFields {
  readonly key: PublicKey;
  /** Seconds. */
  readonly delay: number;
  /** What was begun: it can be finished once both the time and the cluster's slot are there. */
  readonly pending: { readonly to: PublicKey; readonly at: UnixSeconds; readonly slot: bigint } | undefined;
}

/** A commitment to register a name, made before revealing it. */
export interface CommitmentAccount {
  readonly bump: number;
  readonly committer: PublicKey;
  /** 32 bytes. */
  readonly hash: Uint8Array;
  readonly committedAt: UnixSeconds;
}

/** What a payer gets of channels that their payees closed; its lamports are the payer's too. */
export interface ClaimAccount {
  readonly bump: number;
  readonly payer: PublicKey;
  readonly amount: Amount;
}

/** @throws RelaymintError INVALID_ENCODING when the data are not a bank of a version known here. */
export function decodeBank(data: Uint8Array): BankAccount {
  const reader = open(data, DISCRIMINATORS.bank, 'bank account');
  exactSize(data, SIZES.bank, 'bank account');
  const bump = reader.u8();
  reader.bytes(7);
  return {
    bump,
    admin: key(reader),
    clusterTag: new Uint8Array(reader.bytes(16)),
    unitsPerLamport: reader.u64(),
    challengeSeconds: reader.u64(),
    bought: amount(reader.u64()),
    redeemed: amount(reader.u64()),
    burned: amount(reader.u64()),
    minted: amount(reader.u64()),
    openDeposits: amount(reader.u64()),
    unminted: amount(reader.u64()),
    reserve: lamports(reader.u64()),
    treasury: key(reader),
    fees: amount(reader.u64()),
    nameYearPrice: amount(reader.u64()),
    feeBps: reader.u16(),
    feeCarry: reader.u16(),
    commitSeconds: reader.u32(),
    lifetimeFees: amount(reader.u64()),
    address: key(reader),
    mint: key(reader),
    forgone: amount(reader.u64()),
    rent: lamports(reader.u64()),
    slotRents: lamports(reader.u64()),
  };
}

/** @throws RelaymintError INVALID_ENCODING when the data are not a till of a version known here. */
export function decodeTill(data: Uint8Array): TillAccount {
  const reader = open(data, DISCRIMINATORS.till, 'till account');
  const bump = reader.u8();
  reader.bytes(3);
  const count = reader.u32();
  if (count > MAX_SLOTS) throw malformed('till account', `it claims ${count} slots, more than ${MAX_SLOTS}`);
  exactSize(data, tillSize(count), 'till account');
  const owner = key(reader);
  const earned = amount(reader.u64());
  const lifetimeEarned = amount(reader.u64());
  const address = key(reader);
  const minDeposit = amount(reader.u64());
  const opening = amount(reader.u64());
  const slotRent = lamports(reader.u64());
  reader.bytes(8);
  const slots = Array.from({ length: count }, (_, slot) => decodeSlot(reader, slot));
  return { bump, owner, earned, lifetimeEarned, address, minDeposit, opening, slotRent, slots };
}

/** Whose a till is, what it earned, and how many slots it has: the content of its first `SIZES.tillHeader` bytes. */
export interface TillHead {
  readonly owner: PublicKey;
  /** Earned and not yet withdrawn. */
  readonly earned: Amount;
  readonly slots: number;
}

/** @throws RelaymintError INVALID_ENCODING when the data are not the beginning of a till of a version known here. */
export function decodeTillHead(data: Uint8Array): TillHead {
  const reader = open(data, DISCRIMINATORS.till, 'till account');
  exactSize(data, SIZES.tillHeader, 'beginning of a till account');
  reader.bytes(4);
  const slots = reader.u32();
  if (slots > MAX_SLOTS) throw malformed('till account', `it claims ${slots} slots, more than ${MAX_SLOTS}`);
  return { owner: key(reader), earned: amount(reader.u64()), slots };
}

/** One slot, from the `SIZES.slot` bytes at `slotOffset(slot)` of a till account. @throws RelaymintError INVALID_ENCODING. */
export function decodeTillSlot(data: Uint8Array, slot: number): TillSlot {
  exactSize(data, SIZES.slot, 'slot of a till');
  return decodeSlot(new Reader(data, 'slot of a till'), slot);
}

/** @throws RelaymintError INVALID_ENCODING when the data are not a name of a version known here. */
export function decodeName(data: Uint8Array): NameAccount {
  const isFirst = data.length === FIRST_NAME.size;
  const reader = open(data, isFirst ? FIRST_NAME.discriminator : DISCRIMINATORS.name, 'name account');
  exactSize(data, isFirst ? FIRST_NAME.size : SIZES.name, 'name account');
  const bump = reader.u8();
  const name = new TextDecoder().decode(text64(reader));
  reader.bytes(7);
  const owner = key(reader);
  const manager = key(reader);
  const registeredAt = seconds(reader) ?? unixSeconds(0n);
  const expiresAt = seconds(reader);
  const seq = reader.u64();
  const root = text64(reader);
  const manifest = text64(reader);
  const royaltyBps = reader.u16();
  const royaltyCarry = reader.u16();
  const splitCount = reader.u8();
  if (splitCount > MAX_SPLITS) throw malformed('name account', `it claims ${splitCount} splits`);
  reader.bytes(1);
  const referrerBps = reader.u16();
  const splits = Array.from({ length: MAX_SPLITS }, () => decodeSplit(reader)).slice(0, splitCount);
  const accrued = amount(reader.u64());
  const lifetime = amount(reader.u64());
  const referrerCarry = reader.u16();
  reader.bytes(2);
  const transfers = reader.u32();
  const recovery = isFirst ? undefined : decodeRecovery(reader);
  return {
    bump,
    name,
    owner,
    manager,
    registeredAt,
    expiresAt,
    seq,
    root,
    manifest,
    royaltyBps,
    royaltyCarry,
    referrerBps,
    referrerCarry,
    splits,
    accrued,
    lifetime,
    transfers,
    recovery,
  };
}

function decodeRecovery(reader: Reader): NameRecoveryFields | undefined {
  const recoveryKey = key(reader);
  const to = key(reader);
  const at = seconds(reader);
  const slot = reader.u64();
  const delay = reader.u32();
  if (recoveryKey.equals(PublicKey.default)) return undefined;
  return { key: recoveryKey, delay, pending: at === undefined ? undefined : { to, at, slot } };
}

/** @throws RelaymintError INVALID_ENCODING when the data are not a commitment of a version known here. */
export function decodeCommitment(data: Uint8Array): CommitmentAccount {
  const reader = open(data, DISCRIMINATORS.commitment, 'commitment account');
  exactSize(data, SIZES.commitment, 'commitment account');
  const bump = reader.u8();
  reader.bytes(7);
  return {
    bump,
    committer: key(reader),
    hash: new Uint8Array(reader.bytes(32)),
    committedAt: seconds(reader) ?? unixSeconds(0n),
  };
}

/** @throws RelaymintError INVALID_ENCODING when the data are not a claim of a version known here. */
export function decodeClaim(data: Uint8Array): ClaimAccount {
  const reader = open(data, DISCRIMINATORS.claim, 'claim account');
  exactSize(data, SIZES.claim, 'claim account');
  const bump = reader.u8();
  reader.bytes(7);
  return { bump, payer: key(reader), amount: amount(reader.u64()) };
}

function decodeSlot(reader: Reader, slot: number): TillSlot {
  const payer = key(reader);
  const delegate = key(reader);
  const deposit = amount(reader.u64());
  const settled = amount(reader.u64());
  const up = reader.u64();
  const down = reader.u64();
  const generation = reader.u32();
  const flags = reader.u32();
  const closeAt = seconds(reader);
  const closeSlot = reader.u64();
  const opening = amount(reader.u64());
  const rent = lamports(reader.u64());
  return {
    slot,
    open: (flags & 1) === 1,
    payer,
    delegate,
    deposit,
    settled,
    up,
    down,
    generation,
    closeAt,
    closeSlot,
    opening,
    rent,
  };
}

function decodeSplit(reader: Reader): NameSplit {
  const account = key(reader);
  const bps = reader.u16();
  reader.bytes(6);
  return { account, bps, owed: amount(reader.u64()) };
}

function open(data: Uint8Array, discriminator: Uint8Array, what: string): Reader {
  const reader = new Reader(data, what);
  const found = reader.bytes(discriminator.length);
  if (!equalBytes(found, discriminator)) {
    throw malformed(what, 'it is another kind of account, or its layout is of another version');
  }
  return reader;
}

function exactSize(data: Uint8Array, size: number, what: string): void {
  if (data.length !== size) throw malformed(what, `it has ${data.length} bytes, not ${size}`);
}

function key(reader: Reader): PublicKey {
  return new PublicKey(reader.bytes(32));
}

/** One length byte, then room for 63. A copy. */
function text64(reader: Reader): Uint8Array {
  const length = reader.u8();
  const room = reader.bytes(63);
  if (length > 63) throw malformed('name account', `a field claims ${length} of 63 bytes`);
  return new Uint8Array(room.subarray(0, length));
}

/** Zero and negative times mean "none". */
function seconds(reader: Reader): UnixSeconds | undefined {
  const value = reader.i64();
  return value > 0n ? unixSeconds(value) : undefined;
}

function malformed(what: string, detail: string): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `Malformed ${what}: ${detail}.`);
}
