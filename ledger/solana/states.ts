/** Converts the program's accounts into the types of the ledger contract. */
import type { PublicKey } from '@solana/web3.js';
import { PublicKey as Key } from '@solana/web3.js';
import { ledgerAddress } from '../../core/ids.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import type { UnixSeconds } from '../../core/units.ts';
import type { ChannelState, NameRecord, NameRecovery, TillState } from '../contract.ts';
import { nameStatus } from '../term.ts';
import { channelId } from './program/index.ts';
import type { NameAccount, NameRecoveryFields, TillAccount, TillSlot } from './program/index.ts';

export function toAddress(key: PublicKey): LedgerAddress {
  return ledgerAddress(key.toBytes());
}

export function toKey(address: LedgerAddress): PublicKey {
  return new Key(address);
}

/** Where a till's channels get their ids from. */
export interface ChannelContext {
  readonly programId: PublicKey;
  readonly clusterTag: Uint8Array;
}

export function tillState(context: ChannelContext, address: PublicKey, till: TillAccount): TillState {
  return {
    address: toAddress(address),
    owner: toAddress(till.owner),
    slots: till.slots.length,
    earned: till.earned,
    lifetimeEarned: till.lifetimeEarned,
    minDeposit: till.minDeposit,
    opening: till.opening,
    slotRent: till.slotRent,
    channels: till.slots.filter((slot) => slot.open).map((slot) => channelState(context, address, till, slot)),
    generations: till.slots.map((slot) => slot.generation),
  };
}

export function channelState(
  context: ChannelContext,
  address: PublicKey,
  till: Pick<TillAccount, 'owner'>,
  slot: TillSlot,
): ChannelState {
  const { programId, clusterTag } = context;
  return {
    id: channelId(programId, { clusterTag, till: address, slot: slot.slot, generation: slot.generation }),
    till: toAddress(address),
    payee: toAddress(till.owner),
    slot: slot.slot,
    generation: slot.generation,
    payer: toAddress(slot.payer),
    delegate: toAddress(slot.delegate),
    deposit: slot.deposit,
    opening: slot.opening,
    settled: slot.settled,
    settledUp: slot.up,
    settledDown: slot.down,
    closeAt: slot.closeAt,
  };
}

/** `now`: the chain's clock when the account was read. */
export function nameRecord(address: PublicKey, account: NameAccount, now: UnixSeconds): NameRecord {
  return {
    name: account.name,
    address: toAddress(address),
    owner: toAddress(account.owner),
    manager: toAddress(account.manager),
    registeredAt: account.registeredAt,
    expiresAt: account.expiresAt,
    status: nameStatus(account.expiresAt, now),
    seq: account.seq,
    root: account.root,
    manifest: account.manifest,
    royaltyBps: account.royaltyBps,
    referrerBps: account.referrerBps,
    splits: account.splits.map(({ account: to, bps, owed }) => ({ account: toAddress(to), bps, owed })),
    carry: { royalty: BigInt(account.royaltyCarry), referrer: BigInt(account.referrerCarry) },
    accrued: account.accrued,
    lifetime: account.lifetime,
    transfers: account.transfers,
    recovery: account.recovery && nameRecovery(account.recovery),
  };
}

function nameRecovery({ key, delay, pending }: NameRecoveryFields): NameRecovery {
  return { key: toAddress(key), delay, pending: pending && { to: toAddress(pending.to), at: pending.at } };
}
