/**
 * What was settled and withdrawn, for people: a line of JSON for each receipt and for each withdrawal, added before the books say that it
 * is done, so that the death of the process takes none. No secret is in it and no money depends on it: what cannot be written is said and
 * left out.
 */
import { z } from 'zod';
import { messageOf } from '../../core/errors.ts';
import { channelId, ledgerAddress, type ChannelId, type LedgerAddress } from '../../core/ids.ts';
import { MAX_SETTLED_KEPT } from '../../core/limits.ts';
import { silentLog, type Log } from '../../core/ports.ts';
import { amount, lamports, unixMillis, type Amount, type Lamports, type UnixMillis } from '../../core/units.ts';
import { replaceFile } from '../../platform/disk/atomic-file.ts';
import { appendLines, joined, readLines } from '../../platform/disk/line-file.ts';
import type { TransactionResult } from '../contract.ts';

/** One receipt that was settled for good. */
export interface SettledReceipt {
  /** Lines of versions before withdrawals were listed have none. */
  readonly kind: 'receipt';
  /** When it was booked. */
  readonly at: UnixMillis;
  readonly channel: ChannelId;
  readonly payer: LedgerAddress;
  /** What it moved: what the channel had settled before is not in it, nor in the bytes. */
  readonly amount: Amount;
  /** Bytes payer to payee, and payee to payer. */
  readonly up: bigint;
  readonly down: bigint;
  /** The transaction in which it was sent. */
  readonly signature: string;
  /** Its part of the transaction's fee, by its amount; null where the ledger's node did not tell, here and below. */
  readonly feeLamports: Lamports | null;
  /** Its part of what the bank kept, base units. */
  readonly bankFee: Amount | null;
  /** Its part of what names were paid, base units. */
  readonly royalties: Amount | null;
}

/** What a till had earned and was minted to its owner. */
export interface WithdrawnEarnings {
  readonly kind: 'withdrawal';
  /** When it was known to be on chain for good. */
  readonly at: UnixMillis;
  readonly amount: Amount;
  readonly signature: string;
  /** Of the whole transaction; null where the ledger's node did not tell. */
  readonly feeLamports: Lamports | null;
}

export type JournalEntry = SettledReceipt | WithdrawnEarnings;

/** The same as a line of the file and scripts have it: base units, lamports and bytes as text. */
export interface SettledReceiptText {
  readonly kind: 'receipt';
  /** UNIX milliseconds. */
  readonly at: number;
  readonly channel: string;
  readonly payer: string;
  readonly amount: string;
  readonly up: string;
  readonly down: string;
  readonly signature: string;
  readonly feeLamports: string | null;
  readonly bankFee: string | null;
  readonly royalties: string | null;
}

export interface WithdrawnEarningsText {
  readonly kind: 'withdrawal';
  /** UNIX milliseconds. */
  readonly at: number;
  readonly amount: string;
  readonly signature: string;
  readonly feeLamports: string | null;
}

export type JournalEntryText = SettledReceiptText | WithdrawnEarningsText;

/** The newest entries, the oldest of them first. */
export interface SettlementHistory {
  readonly entries: readonly JournalEntry[];
  /** Lines that cannot be read. */
  readonly damaged: number;
}

export interface SettlementJournal {
  /** Resolves once it is on disk, or the log says why not: never rejects. */
  add(entries: readonly JournalEntry[]): Promise<void>;
  /** What is on disk. @throws RelaymintError STORAGE_FAILED. */
  read(): Promise<SettlementHistory>;
}

/** More is not read: as long as the file can be, with room to spare. */
const MAX_BYTES = 16 * 1024 * 1024;

const whole = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(BigInt);
const receiptLine = z.object({
  kind: z.literal('receipt').default('receipt'),
  at: z.int().nonnegative().transform(unixMillis),
  channel: z.string().transform((text) => channelId(text)),
  payer: z.string().transform((text) => ledgerAddress(text)),
  amount: whole.transform(amount),
  up: whole,
  down: whole,
  signature: z.string().max(88),
  feeLamports: whole.transform(lamports).nullable(),
  bankFee: whole.transform(amount).nullable(),
  royalties: whole.transform(amount).nullable(),
});
const withdrawalLine = z.object({
  kind: z.literal('withdrawal'),
  at: z.int().nonnegative().transform(unixMillis),
  amount: whole.transform(amount),
  signature: z.string().max(88),
  feeLamports: whole.transform(lamports).nullable(),
});
const line: z.ZodType<JournalEntry> = z.union([withdrawalLine, receiptLine]);

/** The same file again and again; it is made with the first entry, 0600. One process at a time may add to it. */
export function openSettlementJournal(file: string, log: Log = silentLog): SettlementJournal {
  return new FileJournal(file, log);
}

/** As `SettlementJournal.read`, for a node that may be stopped. No file is no entries. */
export async function readSettlementHistory(file: string): Promise<SettlementHistory> {
  return parsed(await readLines(file, MAX_BYTES));
}

export function journalEntryText(entry: JournalEntry): JournalEntryText {
  const text = (value: bigint | null): string | null => (value === null ? null : value.toString());
  const { kind, at, signature, feeLamports } = entry;
  if (kind === 'withdrawal') {
    return { kind, at, amount: entry.amount.toString(), signature, feeLamports: text(feeLamports) };
  }
  const { channel, payer, amount: moved, up, down, bankFee, royalties } = entry;
  return {
    kind,
    at,
    channel,
    payer,
    amount: moved.toString(),
    up: up.toString(),
    down: down.toString(),
    signature,
    feeLamports: text(feeLamports),
    bankFee: text(bankFee),
    royalties: text(royalties),
  };
}

/** What a transaction cost: it has a fee, so 0 says that the ledger's node keeps no history. */
export function feeOf({ feeLamports }: Pick<TransactionResult, 'feeLamports'>): Lamports | null {
  return feeLamports === 0n ? null : feeLamports;
}

class FileJournal implements SettlementJournal {
  readonly #file: string;
  readonly #log: Log;
  #tail: Promise<void> = Promise.resolve();
  /** Lines in the file; undefined until it was looked at. */
  #lines: number | undefined;
  /** What was said last to have gone wrong: the same is not said again each time. */
  #trouble: string | undefined;

  constructor(file: string, log: Log) {
    this.#file = file;
    this.#log = log;
  }

  add(entries: readonly JournalEntry[]): Promise<void> {
    if (entries.length > 0) this.#tail = this.#tail.then(() => this.#attempt(entries));
    return this.#tail;
  }

  async read(): Promise<SettlementHistory> {
    await this.#tail;
    return readSettlementHistory(this.#file);
  }

  async #attempt(entries: readonly JournalEntry[]): Promise<void> {
    try {
      await this.#append(entries);
      if ((this.#lines ?? 0) >= 2 * MAX_SETTLED_KEPT) await this.#shorten();
      this.#trouble = undefined;
    } catch (error) {
      this.#lines = undefined;
      const trouble = messageOf(error);
      if (trouble !== this.#trouble) {
        this.#log.warn({ err: error }, 'the list of settlements could not be written; the books are correct');
      }
      this.#trouble = trouble;
    }
  }

  async #append(entries: readonly JournalEntry[]): Promise<void> {
    this.#lines ??= (await readLines(this.#file, MAX_BYTES)).length;
    await appendLines(this.#file, linesFor(entries));
    this.#lines += entries.length;
  }

  async #shorten(): Promise<void> {
    const { entries } = await readSettlementHistory(this.#file);
    await replaceFile(this.#file, Buffer.from(joined(linesFor(entries))));
    this.#lines = entries.length;
  }
}

function linesFor(entries: readonly JournalEntry[]): readonly string[] {
  return entries.map((entry) => JSON.stringify(journalEntryText(entry)));
}

/** What was added before a death, and again when its booking was taken up, is one entry. */
function parsed(lines: readonly string[]): SettlementHistory {
  const entries = new Map<string, JournalEntry>();
  let damaged = 0;
  for (const text of lines) {
    const entry = entryOf(text);
    if (entry === undefined) damaged += 1;
    else if (!entries.has(keyOf(entry))) entries.set(keyOf(entry), entry);
  }
  return { entries: Array.from(entries.values()).slice(-MAX_SETTLED_KEPT), damaged };
}

function keyOf(entry: JournalEntry): string {
  return entry.kind === 'withdrawal' ? entry.signature : `${entry.signature} ${entry.channel}`;
}

function entryOf(text: string): JournalEntry | undefined {
  try {
    return line.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
