/** Reads a CAR file in place: its blocks are found by an index in memory, and verified as they are read. */
import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { CarIndexer } from '@ipld/car/indexer';
import { varint } from 'multiformats';
import type { CID } from 'multiformats/cid';
import { assertNotAborted, isAbortReason } from '../../core/abort.ts';
import { equalBytes } from '../../core/codec.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_BLOCK_BYTES, MAX_CAR_HEADER_BYTES } from '../../core/limits.ts';
import { formatBytes } from '../../core/units.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { hasErrno } from '../../platform/errno.ts';
import { blockKey, blockMissing, checkCid, verifyBlock, type BlockReader } from '../blocks/index.ts';

export interface CarFile extends BlockReader, AsyncDisposable {
  /** As its header states them. */
  readonly roots: readonly CID[];
  /** Distinct blocks that can be read. */
  readonly blocks: number;
  /** Blocks of other hashes or codecs, which are not served. */
  readonly leftOut: number;
  has(cid: CID): boolean;
}

interface Entry {
  readonly offset: number;
  readonly length: number;
}

const READING = 'Reading the CAR file';

/**
 * Reads all of the file once.
 * @throws RelaymintError FILE_NOT_FOUND, CONTENT_REFUSED (not a CAR file, or one that is cut off), STORAGE_FAILED, ABORTED.
 */
export async function openCar(path: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<CarFile> {
  assertNotAborted(signal, READING);
  const file = await openFile(path);
  try {
    await assertHeader(file, path);
    const entries = new Map<string, Entry>();
    let leftOut = 0;
    const indexer = await CarIndexer.fromIterable(createReadStream(path, { ...(signal && { signal }) }));
    const { size } = await file.stat();
    for await (const { cid, blockOffset: offset, blockLength: length } of indexer) {
      if (offset + length > size) throw cutOff(path);
      if (!isServed(cid) || length > MAX_BLOCK_BYTES) leftOut += 1;
      else entries.set(blockKey(cid), { offset, length });
    }
    return new IndexedCar(file, path, await indexer.getRoots(), entries, leftOut);
  } catch (error) {
    await file.close();
    if (isRelaymintError(error)) throw error;
    assertNotAborted(signal, READING);
    if (isAbortReason(error) || hasErrno(error)) throw diskError(error, `Reading ${path}`);
    throw notCar(path, error);
  }
}

/** What begins every CARv2 file; after it 16 bytes, and where the CARv1 begins that is in it, u64. */
const PRAGMA = Uint8Array.of(0x0a, 0xa1, 0x67, 0x76, 0x65, 0x72, 0x73, 0x69, 0x6f, 0x6e, 0x02);
const INNER_AT = PRAGMA.length + 16;
const MAX_VARINT_BYTES = 8;

/** The header is read whole, whatever length it says it has: that is looked at first. @throws RelaymintError CONTENT_REFUSED. */
async function assertHeader(file: FileHandle, path: string): Promise<void> {
  const head = await readAt(file, 0, INNER_AT + 8);
  const isSecond = head.length === INNER_AT + 8 && equalBytes(head.subarray(0, PRAGMA.length), PRAGMA);
  const inner = isSecond ? Number(Buffer.from(head).readBigUInt64LE(INNER_AT)) : 0;
  if (!Number.isSafeInteger(inner)) throw notCar(path, new RangeError(`its content begins at ${inner}`));
  const [length] = varint.decode(isSecond ? await readAt(file, inner, MAX_VARINT_BYTES) : head);
  if (length <= MAX_CAR_HEADER_BYTES) return;
  throw new RelaymintError('CONTENT_REFUSED', `${path} has a header of ${formatBytes(length)}.`, {
    remedy: `CAR files with a header of at most ${formatBytes(MAX_CAR_HEADER_BYTES)} are read.`,
  });
}

async function readAt(file: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}

class IndexedCar implements CarFile {
  readonly roots: readonly CID[];
  readonly leftOut: number;
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #entries: ReadonlyMap<string, Entry>;
  #closed = false;

  constructor(
    file: FileHandle,
    path: string,
    roots: readonly CID[],
    entries: ReadonlyMap<string, Entry>,
    leftOut: number,
  ) {
    this.#file = file;
    this.#path = path;
    this.roots = roots;
    this.#entries = entries;
    this.leftOut = leftOut;
  }

  get blocks(): number {
    return this.#entries.size;
  }

  has(cid: CID): boolean {
    return this.#entries.has(blockKey(cid));
  }

  async get(cid: CID, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
    assertNotAborted(signal, READING);
    const entry = this.#entries.get(blockKey(checkCid(cid)));
    if (this.#closed || entry === undefined) throw blockMissing(cid);
    const block = Buffer.allocUnsafe(entry.length);
    let read: number;
    try {
      ({ bytesRead: read } = await this.#file.read(block, 0, entry.length, entry.offset));
    } catch (cause) {
      throw diskError(cause, `Reading ${this.#path}`);
    }
    if (read < entry.length) throw cutOff(this.#path);
    verifyBlock(cid, block);
    return block;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }
}

function isServed(cid: CID): boolean {
  try {
    checkCid(cid);
    return true;
  } catch (error) {
    if (isRelaymintError(error, 'CONTENT_REFUSED')) return false;
    throw error;
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    if (!hasErrno(cause, 'ENOENT')) throw diskError(cause, `Opening ${path}`);
    throw new RelaymintError('FILE_NOT_FOUND', `${path} does not exist.`, { remedy: 'Give a CAR file.', cause });
  }
}

function cutOff(path: string): RelaymintError {
  return new RelaymintError('CONTENT_REFUSED', `${path} ends in the middle of a block.`, {
    remedy: 'Fetch or write it again.',
  });
}

function notCar(path: string, cause: unknown): RelaymintError {
  return new RelaymintError('CONTENT_REFUSED', `${path} is not a CAR file, or it was cut off.`, {
    remedy: 'Give a whole CAR file, or a folder.',
    cause,
  });
}
