/** One channel in the books, and how it is written to disk: fixed layout, little-endian. */
import { concatBytes, Reader, Writer } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import {
  CHANNEL_ID_BYTES,
  channelId,
  channelIdBytes,
  KEY_BYTES,
  ledgerAddress,
  ledgerAddressBytes,
  nodeId,
  nodeIdBytes,
} from '../../core/ids.ts';
import type { LedgerAddress, NodeId } from '../../core/ids.ts';
import { amount, U64_MAX, unixSeconds } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type { ChannelState } from '../contract.ts';
import type { SignedReceipt } from '../receipt/index.ts';

/** What the books know of one channel. */
export interface Entry {
  readonly role: 'payer' | 'payee';
  readonly peer: NodeId;
  /** As the ledger showed it last. */
  readonly channel: ChannelState;
  /** The newest receipt: given when we are the payer, held when we are the payee. */
  readonly latest: SignedReceipt | undefined;
  /**
   * Beyond `latest`. Payer: what we may owe, the window while a link lives, the debt itself once it ended. Payee: what the
   * last link left unpaid, a part of the wallet's arrears: its payer makes it good by paying for it when the next begins.
   */
  readonly owed: Amount;
}

/** role u8 | peer 32 | channel 22 | till, payee, payer, delegate 32 each | slot u16 | generation u32 | deposit, opening, settled, settled up, settled down u64 | close at i64, -1 for none | owed u64. */
const ENTRY_BYTES = 1 + KEY_BYTES + CHANNEL_ID_BYTES + 4 * KEY_BYTES + 2 + 4 + 5 * 8 + 8 + 8;
const OPENED_FOR_BYTES = KEY_BYTES + 8;
const ROLES = ['payer', 'payee'] as const;
const WIDE_BYTES = 16;

export function encodeEntry({
  role,
  peer,
  channel,
  owed,
}: Pick<Entry, 'role' | 'peer' | 'channel' | 'owed'>): Uint8Array {
  return new Writer(ENTRY_BYTES)
    .u8(ROLES.indexOf(role))
    .bytes(nodeIdBytes(peer))
    .bytes(channelIdBytes(channel.id))
    .bytes(ledgerAddressBytes(channel.till))
    .bytes(ledgerAddressBytes(channel.payee))
    .bytes(ledgerAddressBytes(channel.payer))
    .bytes(ledgerAddressBytes(channel.delegate))
    .u16(channel.slot)
    .u32(channel.generation)
    .u64(channel.deposit)
    .u64(channel.opening)
    .u64(channel.settled)
    .u64(channel.settledUp)
    .u64(channel.settledDown)
    .i64(channel.closeAt ?? -1n)
    .u64(owed)
    .finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeEntry(value: Uint8Array): Pick<Entry, 'role' | 'peer' | 'channel' | 'owed'> {
  const reader = new Reader(value, 'channel record');
  const role = ROLES[reader.u8()];
  if (role === undefined) throw new RelaymintError('INVALID_ENCODING', 'Malformed channel record: unknown role.');
  const peer = nodeId(reader.bytes(KEY_BYTES));
  const channel = {
    id: channelId(reader.bytes(CHANNEL_ID_BYTES)),
    till: ledgerAddress(reader.bytes(KEY_BYTES)),
    payee: ledgerAddress(reader.bytes(KEY_BYTES)),
    payer: ledgerAddress(reader.bytes(KEY_BYTES)),
    delegate: ledgerAddress(reader.bytes(KEY_BYTES)),
    slot: reader.u16(),
    generation: reader.u32(),
    deposit: amount(reader.u64()),
    opening: amount(reader.u64()),
    settled: amount(reader.u64()),
    settledUp: reader.u64(),
    settledDown: reader.u64(),
    closeAt: closeTime(reader.i64()),
  };
  const owed = amount(reader.u64());
  reader.end();
  return { role, peer, channel, owed };
}

/** A whole number up to 2^128-1, little-endian: numerators outgrow 64 bits. */
export function encodeWide(value: bigint): Uint8Array {
  return new Writer(WIDE_BYTES)
    .u64(value & U64_MAX)
    .u64(value >> 64n)
    .finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeWide(value: Uint8Array): bigint {
  const reader = new Reader(value, 'wide number');
  const low = reader.u64();
  const high = reader.u64();
  reader.end();
  return (high << 64n) | low;
}

/** Channels that are over, all of one side together. */
export interface ClosedTotals {
  readonly channels: bigint;
  /** Bytes payer to payee, and payee to payer, by their newest receipts. */
  readonly up: bigint;
  readonly down: bigint;
  /** What their newest receipts paid, base units, and how much of it was settled as far as is known. */
  readonly signed: bigint;
  readonly settled: bigint;
}

export const NO_CHANNELS: ClosedTotals = { channels: 0n, up: 0n, down: 0n, signed: 0n, settled: 0n };

export function addClosed(totals: ClosedTotals, { channel, latest }: Pick<Entry, 'channel' | 'latest'>): ClosedTotals {
  return {
    channels: totals.channels + 1n,
    up: totals.up + (latest?.up ?? channel.settledUp),
    down: totals.down + (latest?.down ?? channel.settledDown),
    signed: totals.signed + (latest?.amount ?? channel.settled),
    settled: totals.settled + channel.settled,
  };
}

/** Five wide numbers: channels, up, down, signed, settled. */
export function encodeClosed({ channels, up, down, signed, settled }: ClosedTotals): Uint8Array {
  return concatBytes(...[channels, up, down, signed, settled].map(encodeWide));
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeClosed(value: Uint8Array): ClosedTotals {
  const reader = new Reader(value, 'totals of closed channels');
  const next = (): bigint => decodeWide(reader.bytes(WIDE_BYTES));
  const totals = { channels: next(), up: next(), down: next(), signed: next(), settled: next() };
  reader.end();
  return totals;
}

/** The payer for whose circuits a channel of ours was opened. */
export interface OpenedFor {
  readonly wallet: LedgerAddress;
  /** What was advanced for it. */
  readonly units: Amount;
}

/** wallet 32 | units u64. */
export function encodeOpenedFor({ wallet, units }: OpenedFor): Uint8Array {
  return new Writer(OPENED_FOR_BYTES).bytes(ledgerAddressBytes(wallet)).u64(units).finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeOpenedFor(value: Uint8Array): OpenedFor {
  const reader = new Reader(value, 'record of whom a channel was opened for');
  const wallet = ledgerAddress(reader.bytes(KEY_BYTES));
  const units = amount(reader.u64());
  reader.end();
  return { wallet, units };
}

function closeTime(value: bigint): ReturnType<typeof unixSeconds> | undefined {
  return value < 0n ? undefined : unixSeconds(value);
}
