/**
 * The copy of the books that is only appended to: one file of records. It is replaced as a whole once it is much longer than
 * what it says.
 *
 *   magic "RLMBOOKS" 8 | format version u8 | CRC-32 of these u32, then records
 */
import { copyFile, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { syncFolder } from '../../platform/disk/folder.ts';
import { hasErrno } from '../../platform/errno.ts';
import { ensureVersion } from './copy.ts';
import type { Copy, Version } from './copy.ts';
import { COMMIT, committed, FORMAT_VERSION, Inventory, keyOf, kindOf, PUT, recordAt, seqOf } from './record.ts';
import type { Sealed, WorthOf } from './record.ts';

const MAGIC = Buffer.from('RLMBOOKS');
const HEADER_BYTES = MAGIC.length + 1 + 4;

/** A journal file as it was read. */
export interface JournalCopy extends Copy {
  /** Bytes up to the end of the newest commit: what may be appended to. */
  readonly end: number;
  /** Bytes after it: a write that was not finished before the process or the power failed. */
  readonly torn: number;
}

/** Reads a journal; it does not change it. @throws RelaymintError VERSION_UNSUPPORTED; what the disk says. */
export async function readJournal(file: string, worthOf: WorthOf): Promise<JournalCopy> {
  let bytes: Buffer;
  try {
    const handle = await open(file, 'r');
    try {
      bytes = await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
    const none = { versions: new Map(), whole: undefined, commit: undefined, faults: [], spoiled: [] };
    return { ...none, absent: true, end: 0, torn: 0 };
  }
  return parse(file, bytes, worthOf);
}

function parse(file: string, bytes: Buffer, worthOf: WorthOf): JournalCopy {
  const faults: string[] = [];
  const versions = new Map<string, Version>();
  const version = headerVersion(bytes);
  if (version === undefined) faults.push('its header is damaged');
  else ensureVersion(file, version);
  let commit: Sealed | undefined;
  let pending: Sealed[] = [];
  let end = HEADER_BYTES;
  let at = HEADER_BYTES;
  while (at < bytes.length) {
    const record = recordAt(bytes, at);
    if (record === undefined) {
      const next = nextRecord(bytes, at + 1);
      if (next === undefined) break;
      faults.push(`${next - at} bytes at ${at} are damaged`);
      at = next;
      continue;
    }
    at += record.length;
    pending.push(record);
    if (kindOf(record) !== COMMIT) continue;
    ensureVersion(file, committed(record).version);
    for (const change of pending) apply(versions, change);
    pending = [];
    commit = record;
    end = at;
  }
  if (commit === undefined && bytes.length > 0 && faults.length === 0) faults.push('no write in it is complete');
  let whole: number | undefined;
  if (commit !== undefined && faults.length === 0) {
    const found = new Inventory(worthOf);
    for (const [key, { record }] of versions) if (record !== undefined) found.add(key, record);
    if (found.agreesWith(commit)) whole = seqOf(commit);
    else faults.push('records are missing');
  }
  // From a damaged journal also records without a commit: part of a write is better than none.
  if (faults.length > 0) for (const change of pending) apply(versions, change);
  return { versions, whole, commit, absent: false, faults, spoiled: [], end, torn: bytes.length - end };
}

function apply(versions: Map<string, Version>, change: Sealed): void {
  const kind = kindOf(change);
  if (kind === COMMIT) return;
  versions.set(keyOf(change), { seq: seqOf(change), record: kind === PUT ? change : undefined });
}

function headerVersion(bytes: Buffer): number | undefined {
  if (bytes.length < HEADER_BYTES || bytes.compare(MAGIC, 0, MAGIC.length, 0, MAGIC.length) !== 0) return undefined;
  const checked = bytes.readUInt32LE(HEADER_BYTES - 4) === crc32(bytes.subarray(0, HEADER_BYTES - 4));
  return checked ? bytes[MAGIC.length] : undefined;
}

function nextRecord(bytes: Buffer, from: number): number | undefined {
  for (let at = from; at < bytes.length; at += 1) if (recordAt(bytes, at) !== undefined) return at;
  return undefined;
}

/** The file, open for appending. After an error of `append` it is to be replaced. */
export class Journal {
  readonly #file: string;
  #handle: FileHandle | undefined;
  #size = 0;

  constructor(file: string) {
    this.#file = file;
  }

  get size(): number {
    return this.#size;
  }

  /** Goes on at the end of what was read. */
  async resume(end: number): Promise<void> {
    this.#handle = await open(this.#file, 'r+');
    this.#size = end;
  }

  async append(bytes: Buffer, sync: boolean): Promise<void> {
    const handle = this.#handle;
    if (handle === undefined) throw new TypeError('the journal is not open');
    await writeAll(handle, bytes, this.#size);
    if (sync) await handle.datasync();
    this.#size += bytes.length;
  }

  /** Replaces the file by one with these records: after a power cut, either the old or the new one is there. */
  async replace(records: readonly Sealed[]): Promise<void> {
    const header = Buffer.alloc(HEADER_BYTES);
    header.set(MAGIC);
    header[MAGIC.length] = FORMAT_VERSION;
    header.writeUInt32LE(crc32(header.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4);
    const bytes = Buffer.concat([header, ...records]);
    const fresh = `${this.#file}.new`;
    const handle = await open(fresh, 'w', 0o600);
    try {
      await writeAll(handle, bytes, 0);
      await handle.sync();
      await rename(fresh, this.#file);
      await syncFolder(path.dirname(this.#file));
    } catch (error) {
      await handle.close();
      await rm(fresh, { force: true });
      throw error;
    }
    const before = this.#handle;
    this.#handle = handle;
    this.#size = bytes.length;
    await before?.close();
  }

  /** Keeps a copy of the file as it is. */
  async setAside(to: string): Promise<void> {
    await copyFile(this.#file, to);
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
