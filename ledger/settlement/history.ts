/**
 * What was settled, for people: a line of JSON for each receipt, added before the books say that it is settled, so that the death of
 * the process takes none. No secret is in it and no money depends on it: what cannot be written is said and left out.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { z } from 'zod';
import { messageOf, RelaymintError } from '../../core/errors.ts';
import { channelId, ledgerAddress, type ChannelId, type LedgerAddress } from '../../core/ids.ts';
import { MAX_SETTLED_KEPT } from '../../core/limits.ts';
import { silentLog, type Log } from '../../core/ports.ts';
import { amount, lamports, unixMillis, type Amount, type Lamports, type UnixMillis } from '../../core/units.ts';
import { replaceFile } from '../../platform/disk/atomic-file.ts';
import { hasErrno } from '../../platform/errno.ts';

/** One receipt that was settled for good. */
export interface SettledReceipt {
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

/** The same as a line of the file and scripts have it: base units, lamports and bytes as text. */
export interface SettledReceiptText {
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

/** The newest entries, the oldest of them first. */
export interface SettlementHistory {
  readonly entries: readonly SettledReceipt[];
  /** Lines that cannot be read. */
  readonly damaged: number;
}

export interface SettlementJournal {
  /** Resolves once it is on disk, or the log says why not: never rejects. */
  add(entries: readonly SettledReceipt[]): Promise<void>;
  /** What is on disk. @throws RelaymintError STORAGE_FAILED. */
  read(): Promise<SettlementHistory>;
}

/** More is not read: as long as the file can be, with room to spare. */
const MAX_BYTES = 16 * 1024 * 1024;
const NEWLINE = 0x0a;

const whole = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(BigInt);
const line = z.object({
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

/** The same file again and again; it is made with the first entry, 0600. One process at a time may add to it. */
export function openSettlementJournal(file: string, log: Log = silentLog): SettlementJournal {
  return new FileJournal(file, log);
}

/** As `SettlementJournal.read`, for a node that may be stopped. No file is no entries. */
export async function readSettlementHistory(file: string): Promise<SettlementHistory> {
  return parsed(await contentOf(file));
}

export function settledReceiptText(entry: SettledReceipt): SettledReceiptText {
  const { at, channel, payer, amount: moved, up, down, signature, feeLamports, bankFee, royalties } = entry;
  const text = (value: bigint | null): string | null => (value === null ? null : value.toString());
  return {
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

  add(entries: readonly SettledReceipt[]): Promise<void> {
    if (entries.length > 0) this.#tail = this.#tail.then(() => this.#attempt(entries));
    return this.#tail;
  }

  async read(): Promise<SettlementHistory> {
    await this.#tail;
    return readSettlementHistory(this.#file);
  }

  async #attempt(entries: readonly SettledReceipt[]): Promise<void> {
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

  async #append(entries: readonly SettledReceipt[]): Promise<void> {
    const text = entries.map((entry) => `${JSON.stringify(settledReceiptText(entry))}\n`).join('');
    this.#lines ??= linesOf(await contentOf(this.#file)).length;
    const handle = await open(this.#file, 'a+', 0o600);
    try {
      // A line that was not written to its end is lost, and no other with it.
      await handle.appendFile((await endsALine(handle)) ? text : `\n${text}`);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    this.#lines += entries.length;
  }

  async #shorten(): Promise<void> {
    const { entries } = await readSettlementHistory(this.#file);
    await replaceFile(
      this.#file,
      Buffer.from(entries.map((entry) => `${JSON.stringify(settledReceiptText(entry))}\n`).join('')),
    );
    this.#lines = entries.length;
  }
}

async function endsALine(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return true;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === NEWLINE;
}

async function contentOf(file: string): Promise<string> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      const length = Math.min(size, MAX_BYTES);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (hasErrno(cause, 'ENOENT')) return '';
    throw new RelaymintError('STORAGE_FAILED', `${file} cannot be read: ${messageOf(cause)}.`, {
      remedy: 'Check its permissions and the disk.',
      cause,
    });
  }
}

function linesOf(content: string): readonly string[] {
  return content.split('\n').filter((text) => text !== '');
}

/** A receipt that was added before a death, and again when its booking was taken up, is one entry. */
function parsed(content: string): SettlementHistory {
  const entries = new Map<string, SettledReceipt>();
  let damaged = 0;
  for (const text of linesOf(content)) {
    const entry = entryOf(text);
    if (entry === undefined) damaged += 1;
    else if (!entries.has(keyOf(entry))) entries.set(keyOf(entry), entry);
  }
  return { entries: Array.from(entries.values()).slice(-MAX_SETTLED_KEPT), damaged };
}

function keyOf({ signature, channel }: SettledReceipt): string {
  return `${signature} ${channel}`;
}

function entryOf(text: string): SettledReceipt | undefined {
  try {
    return line.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
