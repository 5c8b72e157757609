/** Blocks in files, the ones that were used least lately deleted first. Each is verified again when it is read: a disk forgets, and files can be changed. */
import { rm } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';
import type { CID } from 'multiformats/cid';
import { isRelaymintError } from '../../core/errors.ts';
import { MAX_BLOCK_BYTES, MAX_CACHED_BLOCK_FILES } from '../../core/limits.ts';
import type { Log } from '../../core/ports.ts';
import type { Bytes } from '../../core/units.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { makeFolder } from '../../platform/disk/folder.ts';
import { BlockFiles, verifyBlock } from '../blocks/index.ts';

/** What a file takes at least, and is rounded up to, bytes. */
const SECTOR = 4096;
/** Bytes on their way to the disk; further blocks stay in memory alone, so that a slow disk slows no visitor. */
const MAX_WRITING_BYTES: number = 4 * MAX_BLOCK_BYTES;
/** After a failure nothing is written for so long, milliseconds: a full disk is not asked for every block. */
const REST_MILLIS = 60_000;

export class DiskTier implements AsyncDisposable {
  readonly #files: BlockFiles;
  readonly #limit: Bytes;
  readonly #log: Log;
  /** What each file takes. What falls out is deleted. */
  readonly #sizes: LRUCache<string, number>;
  readonly #writing = new Map<string, Promise<void>>();
  readonly #deleting = new Set<Promise<void>>();
  readonly #found: Promise<void>;
  #isFound = false;
  /** Deleted while the files are listed. */
  readonly #gone = new Set<string>();
  #writingBytes = 0;
  #restsUntil = Number.NEGATIVE_INFINITY;
  #closed = false;

  private constructor(files: BlockFiles, limit: Bytes, log: Log) {
    this.#files = files;
    this.#limit = limit;
    this.#log = log;
    this.#sizes = new LRUCache({
      max: MAX_CACHED_BLOCK_FILES,
      maxSize: limit,
      sizeCalculation: (size) => size,
      dispose: (_size, key, reason) => {
        if (reason !== 'set') this.#delete(key);
      },
    });
    this.#found = this.#find();
  }

  /** Blocks are found before all that is there has been listed. @throws RelaymintError STORAGE_FAILED, STORAGE_FULL. */
  static async open(directory: string, limit: Bytes, log: Log): Promise<DiskTier> {
    try {
      await makeFolder(directory, 0o700);
    } catch (cause) {
      throw diskError(cause, 'Opening the cache');
    }
    return new DiskTier(await BlockFiles.open(directory), limit, log);
  }

  /** @throws RelaymintError STORAGE_FAILED. */
  static async remove(directory: string): Promise<void> {
    try {
      await rm(directory, { recursive: true, force: true });
    } catch (cause) {
      throw diskError(cause, 'Removing the cache');
    }
  }

  async get(key: string, cid: CID): Promise<Uint8Array | undefined> {
    if (this.#isFound && this.#sizes.get(key) === undefined) return undefined;
    try {
      const block = await this.#files.read(key);
      if (block !== undefined) verifyBlock(cid, block);
      else this.#sizes.delete(key);
      return block;
    } catch (error) {
      this.#log.warn({ err: error }, 'a block in the cache could not be used and is fetched again');
      // It may not have been listed yet.
      if (!this.#sizes.delete(key)) this.#delete(key);
      return undefined;
    }
  }

  put(key: string, block: Uint8Array): void {
    if (this.#closed || this.#writing.has(key) || this.#sizes.has(key) || sizeOf(block.length) > this.#limit) return;
    if (this.#writingBytes + block.length > MAX_WRITING_BYTES || performance.now() < this.#restsUntil) return;
    this.#writingBytes += block.length;
    const writing = this.#write(key, block).finally(() => {
      this.#writing.delete(key);
      this.#writingBytes -= block.length;
    });
    this.#writing.set(key, writing);
  }

  async settled(): Promise<void> {
    await this.#found;
    await Promise.all([...this.#writing.values(), ...this.#deleting]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.settled();
  }

  async #write(key: string, block: Uint8Array): Promise<void> {
    try {
      await this.#files.write(key, block);
      this.#sizes.set(key, sizeOf(block.length));
    } catch (error) {
      this.#restsUntil = performance.now() + REST_MILLIS;
      const why = isRelaymintError(error, 'STORAGE_FULL') ? 'the disk is full' : 'it could not be written';
      this.#log.warn({ err: error }, `the cache keeps nothing more for a minute: ${why}`);
    }
  }

  async #find(): Promise<void> {
    const found: { readonly key: string; readonly bytes: number; readonly writtenAt: number }[] = [];
    try {
      for await (const file of this.#files.list()) found.push(file);
    } catch (error) {
      this.#log.warn({ err: error }, 'not all of the cache could be listed');
    }
    found.sort((a, b) => a.writtenAt - b.writtenAt);
    for (const { key, bytes } of found)
      if (!this.#sizes.has(key) && !this.#gone.has(key)) this.#sizes.set(key, sizeOf(bytes));
    this.#isFound = true;
    this.#gone.clear();
  }

  #delete(key: string): void {
    if (!this.#isFound) this.#gone.add(key);
    const deleting = this.#files
      .remove(key)
      .catch((error: unknown) => this.#log.warn({ err: error }, 'a block in the cache could not be deleted'))
      .finally(() => this.#deleting.delete(deleting));
    this.#deleting.add(deleting);
  }
}

function sizeOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / SECTOR)) * SECTOR;
}
