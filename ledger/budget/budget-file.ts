/**
 * The budget on disk. Layout: "RMbudget" | version u8 | time u64 | wall u64 | uptime u64 | count u16 | entries (kind u8 |
 * slot u32 | who length u16, text | amount u64) | SHA-256 over all of it, 32. Times in milliseconds.
 *
 * Version 2 has what was said of single sites besides (`limit` with its amount, `stopped`; slot 0). Without any of that version 1 is
 * written, which earlier nodes read.
 */
import { createHash } from 'node:crypto';
import { Reader, Writer, equalBytes, utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { amount, type Amount } from '../../core/units.ts';
import { readWhole, replaceFile } from '../../platform/disk/atomic-file.ts';

export const KINDS = ['peer', 'site', 'earned', 'limit', 'stopped'] as const;
export type Kind = (typeof KINDS)[number];

export interface FiledEntry {
  readonly kind: Kind;
  /** Five minutes of the budget's own time; 0 for what was said of a site. */
  readonly slot: number;
  /** A wallet, a site's name; empty for what was earned. */
  readonly who: string;
  readonly amount: Amount;
}

export interface FiledBudget {
  /** The budget's own time. */
  readonly time: number;
  /** The clock and the machine's uptime at that time. */
  readonly wall: number;
  readonly uptime: number;
  readonly entries: readonly FiledEntry[];
}

const MAGIC = utf8('RMbudget');
const [PLAIN, WITH_SITES] = [1, 2];
/** Kinds of version 1: those before it in the list. */
const PLAIN_KINDS = 3;
const DIGEST_BYTES = 32;
const MAX_WHO_BYTES = 255;
const HEADER_BYTES = MAGIC.length + 1 + 3 * 8 + 2;
const ENTRY_BYTES = 1 + 4 + 2 + MAX_WHO_BYTES + 8;

/** @throws RelaymintError STORAGE_FAILED. */
export async function writeBudget(file: string, { time, wall, uptime, entries }: FiledBudget): Promise<void> {
  const version = entries.some(({ kind }) => KINDS.indexOf(kind) >= PLAIN_KINDS) ? WITH_SITES : PLAIN;
  const writer = new Writer(HEADER_BYTES + entries.length * ENTRY_BYTES + DIGEST_BYTES).bytes(MAGIC).u8(version);
  for (const millis of [time, wall, uptime]) writer.u64(BigInt(Math.floor(millis)));
  writer.u16(entries.length);
  for (const { kind, slot, who, amount: value } of entries) {
    writer.u8(KINDS.indexOf(kind)).u32(slot).string16(who).u64(value);
  }
  const body = writer.finish();
  await replaceFile(file, writer.bytes(digestOf(body)).finish());
}

/** undefined when there is no file. @throws RelaymintError INVALID_ENCODING when it is damaged, STORAGE_FAILED when it cannot be read. */
export async function readBudget(file: string): Promise<FiledBudget | undefined> {
  const encoded = await readWhole(file);
  if (encoded === undefined) return undefined;
  const body = encoded.subarray(0, Math.max(encoded.length - DIGEST_BYTES, 0));
  if (!equalBytes(encoded.subarray(body.length), digestOf(body))) throw damaged(file);
  const reader = new Reader(body, 'budget');
  if (!equalBytes(reader.bytes(MAGIC.length), MAGIC)) throw damaged(file);
  const version = reader.u8();
  if (version !== PLAIN && version !== WITH_SITES) throw damaged(file);
  const [time, wall, uptime] = [Number(reader.u64()), Number(reader.u64()), Number(reader.u64())];
  const entries = Array.from({ length: reader.u16() }, (): FiledEntry => {
    const kind = KINDS[reader.u8()];
    if (kind === undefined || (version === PLAIN && KINDS.indexOf(kind) >= PLAIN_KINDS)) throw damaged(file);
    return { kind, slot: reader.u32(), who: reader.string16(MAX_WHO_BYTES), amount: amount(reader.u64()) };
  });
  reader.end();
  return { time, wall, uptime, entries };
}

function digestOf(body: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(body).digest());
}

function damaged(file: string): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `${file} is damaged.`);
}
