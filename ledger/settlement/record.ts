/** What is written to disk before a settlement or a withdrawal is sent, and the running totals: fixed layout, little-endian. */
import { earnersKey, earnersOf } from '../../core/attribution.ts';
import { Reader, Writer } from '../../core/codec.ts';
import {
  CHANNEL_ID_BYTES,
  channelId,
  channelIdBytes,
  KEY_BYTES,
  ledgerAddress,
  ledgerAddressBytes,
} from '../../core/ids.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { MAX_NAME_BYTES, MAX_RECEIPTS_PER_TRANSACTION, MAX_SHARES_PER_TRANSACTION } from '../../core/limits.ts';
import { RelaymintError } from '../../core/errors.ts';
import { amount, lamports } from '../../core/units.ts';
import type { Amount } from '../../core/units.ts';
import type { ContentShare, PreparedTransaction } from '../contract.ts';
import type { BookStore } from '../accounting/index.ts';
import type { Receipt } from '../receipt/index.ts';
import type { SettlementTotals } from './contract.ts';

type PaidShare = Pick<ContentShare, 'name' | 'referrer' | 'gross'>;

/** A channel before a settlement: who pays it, and what it had settled. */
export interface SettledBefore {
  readonly payer: LedgerAddress;
  readonly amount: Amount;
  readonly up: bigint;
  readonly down: bigint;
}

/** A settlement or a withdrawal under way. Its id is its transaction's signature. */
export interface SettlementRecord {
  readonly transaction: PreparedTransaction;
  /** What each channel has settled once this is on chain; none for a withdrawal. */
  readonly items: readonly Receipt[];
  /** Where each of them began, in the same order; empty in records of versions before this was kept. */
  readonly before: readonly SettledBefore[];
  /** What names are paid off; at which royalty only the transaction says. */
  readonly shares: readonly PaidShare[];
  /** What it moves; for a withdrawal what the till held when it was signed. */
  readonly increase: Amount;
}

/** Key of the totals among the records; no signature is this short. */
export const TOTALS_KEY = 'totals';

/** A name and a referrer, with what stands between them. */
const MAX_EARNERS_BYTES = 2 * MAX_NAME_BYTES + 1;
/** A transaction is at most 1,232 bytes; the newer format 4,096. */
const MAX_WIRE_BYTES = 4096;
/** base58 of 64 bytes. */
const MAX_SIGNATURE_TEXT = 88;
const ITEM_BYTES = CHANNEL_ID_BYTES + 3 * 8;
const BEFORE_BYTES = KEY_BYTES + 3 * 8;
const RECORD_CAPACITY =
  2 +
  MAX_SIGNATURE_TEXT +
  2 +
  MAX_WIRE_BYTES +
  16 +
  2 +
  MAX_RECEIPTS_PER_TRANSACTION * (ITEM_BYTES + BEFORE_BYTES) +
  MAX_SHARES_PER_TRANSACTION * (2 + MAX_EARNERS_BYTES + 8);
/** Signatures that totals list: enough to look at, bounded for ever. */
const MAX_LISTED = 100;

export const EMPTY_TOTALS: SettlementTotals = {
  transactions: 0,
  receipts: 0,
  amount: amount(0n),
  computeUnits: 0,
  feeLamports: lamports(0n),
  signatures: [],
};

export function encodeRecord(record: SettlementRecord): Uint8Array {
  const { transaction, items, before, shares, increase } = record;
  const writer = new Writer(RECORD_CAPACITY)
    .string16(transaction.signature)
    .bytes16(transaction.wire)
    .u64(amount(transaction.lastValidBlockHeight))
    .u64(increase)
    .u8(items.length)
    .u8(shares.length);
  for (const item of items) writer.bytes(channelIdBytes(item.channel)).u64(item.amount).u64(item.up).u64(item.down);
  for (const share of shares) writer.string16(earnersKey(share)).u64(share.gross);
  for (const one of before) writer.bytes(ledgerAddressBytes(one.payer)).u64(one.amount).u64(one.up).u64(one.down);
  return writer.finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeRecord(encoded: Uint8Array): SettlementRecord {
  const reader = new Reader(encoded, 'settlement record');
  const signature = reader.string16(MAX_SIGNATURE_TEXT);
  const wire = Uint8Array.from(reader.bytes16(MAX_WIRE_BYTES));
  const lastValidBlockHeight = reader.u64();
  const increase = amount(reader.u64());
  const itemCount = bounded(reader.u8(), MAX_RECEIPTS_PER_TRANSACTION);
  const shareCount = bounded(reader.u8(), MAX_SHARES_PER_TRANSACTION);
  const items: Receipt[] = [];
  for (let i = 0; i < itemCount; i += 1) {
    items.push({
      channel: channelId(reader.bytes(CHANNEL_ID_BYTES)),
      amount: amount(reader.u64()),
      up: reader.u64(),
      down: reader.u64(),
    });
  }
  const shares: PaidShare[] = [];
  for (let i = 0; i < shareCount; i += 1) {
    shares.push({ ...earnersOf(reader.string16(MAX_EARNERS_BYTES)), gross: amount(reader.u64()) });
  }
  const before: SettledBefore[] = [];
  // A record ended here before it was kept.
  for (let left = reader.remaining === 0 ? 0 : itemCount; left > 0; left -= 1) {
    before.push({
      payer: ledgerAddress(reader.bytes(KEY_BYTES)),
      amount: amount(reader.u64()),
      up: reader.u64(),
      down: reader.u64(),
    });
  }
  reader.end();
  return { transaction: { signature, wire, lastValidBlockHeight }, items, before, shares, increase };
}

/** A settlement has at least one receipt. */
export function isWithdrawal({ items }: SettlementRecord): boolean {
  return items.length === 0;
}

/** What is under way, as of now. @throws RelaymintError INVALID_ENCODING. */
export function recordsIn(store: Pick<BookStore, 'settlements'>): readonly SettlementRecord[] {
  return Array.from(store.settlements())
    .filter(([key]) => key !== TOTALS_KEY)
    .map(([, encoded]) => decodeRecord(encoded));
}

export function encodeTotals(totals: SettlementTotals): Uint8Array {
  const listed = totals.signatures.slice(-MAX_LISTED);
  const writer = new Writer(5 * 8 + 1 + listed.length * (2 + MAX_SIGNATURE_TEXT))
    .u64(BigInt(totals.transactions))
    .u64(BigInt(totals.receipts))
    .u64(totals.amount)
    .u64(BigInt(totals.computeUnits))
    .u64(totals.feeLamports)
    .u8(listed.length);
  for (const signature of listed) writer.string16(signature);
  return writer.finish();
}

/** @throws RelaymintError INVALID_ENCODING. */
export function decodeTotals(encoded: Uint8Array): SettlementTotals {
  const reader = new Reader(encoded, 'settlement totals');
  const totals = {
    transactions: Number(reader.u64()),
    receipts: Number(reader.u64()),
    amount: amount(reader.u64()),
    computeUnits: Number(reader.u64()),
    feeLamports: lamports(reader.u64()),
  };
  const signatures: string[] = [];
  for (let left = bounded(reader.u8(), MAX_LISTED); left > 0; left -= 1)
    signatures.push(reader.string16(MAX_SIGNATURE_TEXT));
  reader.end();
  return { ...totals, signatures };
}

function bounded(count: number, max: number): number {
  if (count <= max) return count;
  throw new RelaymintError(
    'INVALID_ENCODING',
    `Malformed settlement record: ${count} entries, at most ${max} are allowed.`,
  );
}
