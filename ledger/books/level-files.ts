/**
 * LevelDB's files as they lie on disk, read without LevelDB. It does not compare the sums of its tables unless it is told to,
 * which the binding that we use cannot, and over some damage of them it ends the whole process (an assertion). So each table is
 * checked here before LevelDB opens it, and what damaged files still hold is read here.
 *
 * A table is blocks, one after the other, each followed by its kind (u8: 0 as it is, 1 Snappy) and the masked CRC-32C of both
 * (u32). The last 48 bytes are where its index and the list of its filters are, and a magic number. A log, as MANIFEST is one too,
 * consists of pieces in blocks of 32 KiB: masked CRC-32C u32 | length u16 | kind u8 | bytes, the sum from the kind on. A record
 * is one piece (kind 1) or a first, middle ones and a last (2, 3, 4).
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../../platform/errno.ts';
import { ByteCursor } from './byte-cursor.ts';
import { EMPTY_CRC, extended, masked, maskedCrc } from './crc32c.ts';
import { recordOf } from './record.ts';
import type { Sealed } from './record.ts';
import { unpacked } from './snappy.ts';

/** What a key has as of this write, by LevelDB's own count; undefined: it was deleted by it. */
interface Entry {
  readonly sequence: number;
  readonly value: Buffer | undefined;
}

interface Place {
  readonly at: number;
  readonly length: number;
}

const FOOTER_BYTES = 48;
const TABLE_MAGIC = 0xdb4775248b80fb57n;
const TRAILER_BYTES = 5;
const SNAPPY = 1;
const LOG_BLOCK_BYTES = 32 * 1024;
const PIECE_HEADER_BYTES = 7;
const WHOLE = 1;
const FIRST = 2;
const LAST = 4;
/** An internal key is the key, then the write's number and whether it put (1) or deleted (0). */
const KEY_TRAILER_BYTES = 8;
const PUT = 1n;
const DELETED = 0n;
const TABLE_FILE = /^\d+\.(?:ldb|sst)$/;
const LOG_FILE = /^\d+\.log$/;
const MANIFEST_NAME = /^MANIFEST-\d+\n$/;

/**
 * What is wrong with the tables that MANIFEST names, for people; empty when nothing is. Other tables are left from a process that
 * was killed, and LevelDB does not read them. What is wrong with MANIFEST itself, or missing, LevelDB says without dying.
 */
export async function tableFaults(directory: string): Promise<readonly string[]> {
  const current = (await contentOf(path.join(directory, 'CURRENT')))?.toString('latin1') ?? '';
  if (!MANIFEST_NAME.test(current)) return [];
  const manifest = await contentOf(path.join(directory, current.trimEnd()));
  const faults: string[] = [];
  for (const number of manifest === undefined ? [] : tablesIn(manifest)) {
    const name = `${String(number).padStart(6, '0')}.ldb`;
    const table = await contentOf(path.join(directory, name));
    if (table !== undefined && !isWhole(table)) faults.push(`its table ${name} is damaged`);
  }
  return faults;
}

/** The newest readable record of each key, wherever it is. Records that fail their checksum are skipped. */
export async function readFiles(directory: string): Promise<ReadonlyMap<string, Sealed>> {
  const newest = new Map<string, { readonly sequence: number; readonly record: Sealed | undefined }>();
  const take = (bytes: Buffer, { sequence, value }: Entry): void => {
    const key = bytes.toString('utf8');
    if ((newest.get(key)?.sequence ?? -1) >= sequence) return;
    const record = value === undefined ? undefined : recordOf(key, value);
    if (record !== undefined || value === undefined) newest.set(key, { sequence, record });
  };
  for (const name of await readdir(directory)) {
    const isTable = TABLE_FILE.test(name);
    if (!isTable && !LOG_FILE.test(name)) continue;
    const bytes = (await contentOf(path.join(directory, name))) ?? Buffer.alloc(0);
    for (const part of isTable ? dataBlocks(bytes) : recordsIn(bytes)) {
      try {
        if (isTable) takeBlock(part, take);
        else takeBatch(part, take);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }
  }
  const found = new Map<string, Sealed>();
  for (const [key, { record }] of newest) if (record !== undefined) found.set(key, record);
  return found;
}

/** Numbers of the tables that a MANIFEST leaves in use. */
function tablesIn(manifest: Buffer): readonly number[] {
  const live = new Set<number>();
  for (const record of recordsIn(manifest)) {
    try {
      applyEdit(new ByteCursor(record), live);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return Array.from(live);
}

function applyEdit(from: ByteCursor, live: Set<number>): void {
  while (!from.isAtEnd) {
    const tag = from.varint();
    if (tag === 1) from.piece();
    else if (tag === 2 || tag === 3 || tag === 4 || tag === 9) from.varint();
    else {
      from.varint();
      if (tag === 5) from.piece();
      else if (tag === 6) live.delete(from.varint());
      else if (tag === 7) {
        live.add(from.varint());
        from.varint();
        from.piece();
        from.piece();
      } else throw new RangeError('an unknown edit');
    }
  }
}

function isWhole(table: Buffer): boolean {
  try {
    const { filters, index } = footerOf(table);
    for (const list of [filters, index]) {
      for (const [, place] of entriesOf(blockAt(table, list))) {
        const cursor = new ByteCursor(place);
        if (!checks(table, placeIn(cursor))) return false;
      }
    }
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** By the index; if that is damaged, one after the other until one fails its checksum. */
function dataBlocks(table: Buffer): readonly Buffer[] {
  const found: Buffer[] = [];
  let places: readonly Place[];
  try {
    places = entriesOf(blockAt(table, footerOf(table).index)).map(([, place]) => placeIn(new ByteCursor(place)));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    places = blocksInARow(table);
  }
  for (const place of places) {
    try {
      found.push(blockAt(table, place));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return found;
}

/** A block ends where its sum follows. Filters, their list and the index come last; nothing in them checks as a record. */
function blocksInARow(table: Buffer): readonly Place[] {
  const places: Place[] = [];
  let start = 0;
  let crc = EMPTY_CRC;
  for (let at = 0; at + TRAILER_BYTES <= table.length; at += 1) {
    crc = extended(crc, table[at] ?? 0);
    if (masked(crc) !== table.readUInt32LE(at + 1)) continue;
    places.push({ at: start, length: at - start });
    start = at + TRAILER_BYTES;
    at = start - 1;
    crc = EMPTY_CRC;
  }
  return places;
}

/** @throws RangeError when it is damaged. */
function footerOf(table: Buffer): { readonly filters: Place; readonly index: Place } {
  const footer = table.subarray(Math.max(0, table.length - FOOTER_BYTES));
  if (footer.length < FOOTER_BYTES || footer.readBigUInt64LE(FOOTER_BYTES - 8) !== TABLE_MAGIC) {
    throw new RangeError('no table');
  }
  const cursor = new ByteCursor(footer);
  return { filters: placeIn(cursor), index: placeIn(cursor) };
}

function placeIn(cursor: ByteCursor): Place {
  return { at: cursor.varint(), length: cursor.varint() };
}

function checks(table: Buffer, { at, length }: Place): boolean {
  const end = at + length + 1;
  return end + 4 <= table.length && maskedCrc(table.subarray(at, end)) === table.readUInt32LE(end);
}

/** @throws RangeError when it is damaged. */
function blockAt(table: Buffer, place: Place): Buffer {
  if (!checks(table, place)) throw new RangeError('a block fails its checksum');
  const bytes = table.subarray(place.at, place.at + place.length);
  return table[place.at + place.length] === SNAPPY ? unpacked(bytes) : bytes;
}

/** Each key holds only what differs from the previous one; the end of the block lists where keys are complete. */
function entriesOf(block: Buffer): readonly (readonly [key: Buffer, value: Buffer])[] {
  const restarts = block.readUInt32LE(block.length - 4);
  const cursor = new ByteCursor(block.subarray(0, Math.max(0, block.length - 4 * (restarts + 1))));
  const entries: (readonly [Buffer, Buffer])[] = [];
  let key = Buffer.alloc(0);
  while (!cursor.isAtEnd) {
    const [shared, own, length] = [cursor.varint(), cursor.varint(), cursor.varint()];
    key = Buffer.concat([key.subarray(0, shared), cursor.bytes(own)]);
    entries.push([key, cursor.bytes(length)]);
  }
  return entries;
}

function takeBlock(block: Buffer, take: (key: Buffer, entry: Entry) => void): void {
  for (const [key, value] of entriesOf(block)) {
    const end = key.length - KEY_TRAILER_BYTES;
    const trailer = key.readBigUInt64LE(end);
    const kind = trailer & 0xffn;
    if (kind !== PUT && kind !== DELETED) continue;
    take(key.subarray(0, end), { sequence: Number(trailer >> 8n), value: kind === PUT ? value : undefined });
  }
}

function takeBatch(record: Buffer, take: (key: Buffer, entry: Entry) => void): void {
  const cursor = new ByteCursor(record);
  let sequence = Number(cursor.u64());
  for (let left = cursor.little(4); left > 0; left -= 1) {
    const isPut = BigInt(cursor.u8()) === PUT;
    const key = cursor.piece();
    take(key, { sequence, value: isPut ? cursor.piece() : undefined });
    sequence += 1;
  }
}

/** The records of a log that check. One whose piece is damaged is passed over; what follows in the same block is searched for. */
function recordsIn(log: Buffer): readonly Buffer[] {
  const records: Buffer[] = [];
  let pieces: Buffer[] | undefined;
  for (let block = 0; block < log.length; block += LOG_BLOCK_BYTES) {
    const end = Math.min(block + LOG_BLOCK_BYTES, log.length);
    let at = block;
    while (at + PIECE_HEADER_BYTES <= end) {
      const kind = log[at + 6] ?? 0;
      const bytes = pieceAt(log, at, end);
      if (bytes === undefined) {
        pieces = undefined;
        at += 1;
        continue;
      }
      at += PIECE_HEADER_BYTES + bytes.length;
      if (kind === WHOLE || kind === FIRST) pieces = [];
      pieces?.push(bytes);
      if ((kind === WHOLE || kind === LAST) && pieces !== undefined) {
        records.push(Buffer.concat(pieces));
        pieces = undefined;
      }
    }
  }
  return records;
}

function pieceAt(log: Buffer, at: number, blockEnd: number): Buffer | undefined {
  const kind = log[at + 6] ?? 0;
  const end = at + PIECE_HEADER_BYTES + log.readUInt16LE(at + 4);
  if (kind < WHOLE || kind > LAST || end > blockEnd) return undefined;
  return maskedCrc(log.subarray(at + 6, end)) === log.readUInt32LE(at)
    ? log.subarray(at + PIECE_HEADER_BYTES, end)
    : undefined;
}

/** undefined for a file that is not there; nothing for one that the disk cannot read: LevelDB, which maps it, would die of that. */
async function contentOf(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    if (hasErrno(error, 'EIO')) return Buffer.alloc(0);
    throw error;
  }
}
