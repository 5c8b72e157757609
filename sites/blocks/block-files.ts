/**
 * One file per block, written whole or not at all, in the folder layout of the blockstore-fs package. Not that package
 * itself: it hides the reason of a failure (a full disk must be told apart) and two writers share one temporary file.
 */
import type { FileHandle } from 'node:fs/promises';
import { constants, open, readdir, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_BLOCK_BYTES } from '../../core/limits.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { makeFolder, syncFolder } from '../../platform/disk/folder.ts';
import { hasErrno } from '../../platform/errno.ts';

const EXTENSION = '.data';
const SHARD_LETTERS = 2;
const TEMPORARY = '.partial';
/** Blocks brought to the disk at once: a file system writes its journal once for all that wait at the same time. */
const SYNCS_AT_ONCE = 8;
const NO_BYTES = new Uint8Array(0);
/** No link is followed, and nobody waits for the other end of a pipe. (Windows has neither.) */
const READING: number = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

export class BlockFiles {
  readonly #directory: string;
  readonly #shards = new Map<string, Promise<unknown>>();
  #written = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Creates the folder when missing and removes what an earlier run left unfinished. @throws RelaymintError STORAGE_FAILED. */
  static async open(directory: string): Promise<BlockFiles> {
    try {
      await rm(join(directory, TEMPORARY), { recursive: true, force: true });
      await makeFolder(join(directory, TEMPORARY), 0o777);
    } catch (cause) {
      throw diskError(cause, 'Opening the block store');
    }
    return new BlockFiles(directory);
  }

  /** undefined when there is no such file; no bytes when something is in its place that is no block. @throws RelaymintError STORAGE_FAILED. */
  async read(key: string): Promise<Uint8Array | undefined> {
    let file: FileHandle | undefined;
    try {
      file = await open(this.#path(key), READING);
      const found = await file.stat();
      return found.isFile() && found.size <= MAX_BLOCK_BYTES ? await file.readFile() : NO_BYTES;
    } catch (cause) {
      if (hasErrno(cause, 'ENOENT')) return undefined;
      if (hasErrno(cause, 'ELOOP')) return NO_BYTES;
      throw diskError(cause, 'Reading a block');
    } finally {
      await file?.close();
    }
  }

  /** The length of the file, which need not be read for it; undefined when there is none. @throws RelaymintError STORAGE_FAILED. */
  async size(key: string): Promise<number | undefined> {
    try {
      return (await stat(this.#path(key))).size;
    } catch (cause) {
      if (hasErrno(cause, 'ENOENT')) return undefined;
      throw diskError(cause, 'Looking for a block');
    }
  }

  /** @throws RelaymintError STORAGE_FULL, STORAGE_FAILED; then no trace of the block is left. */
  async write(key: string, block: Uint8Array): Promise<void> {
    this.#written += 1;
    const temporary = join(this.#directory, TEMPORARY, `${process.pid}-${this.#written}`);
    try {
      await this.#shard(key);
      await writeFile(temporary, block);
      await rename(temporary, this.#path(key));
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw diskError(cause, 'Writing a block');
    }
  }

  /**
   * Brings blocks and their names to the disk itself, where a power cut leaves them. Writing each block like this would
   * make an import wait for the disk every time; once for all blocks, before their root is kept, is enough.
   * @returns the keys of those that are not there or not that long: an earlier power cut took them.
   * @throws RelaymintError STORAGE_FAILED, STORAGE_FULL.
   */
  async settle(blocks: Iterable<{ readonly key: string; readonly bytes: number }>): Promise<string[]> {
    const shards = new Set<string>();
    const lost: string[] = [];
    const waiting = blocks[Symbol.iterator]();
    try {
      await Promise.all(
        Array.from({ length: SYNCS_AT_ONCE }, async () => {
          for (let next = waiting.next(); next.done !== true; next = waiting.next()) {
            const { key, bytes } = next.value;
            if (await syncFile(this.#path(key), bytes)) shards.add(key.slice(-SHARD_LETTERS));
            else lost.push(key);
          }
        }),
      );
      for (const shard of shards) await syncFolder(join(this.#directory, shard));
      if (shards.size > 0) await syncFolder(this.#directory);
    } catch (cause) {
      throw diskError(cause, 'Bringing blocks to the disk');
    }
    return lost;
  }

  async remove(key: string): Promise<void> {
    try {
      await unlink(this.#path(key));
    } catch (cause) {
      if (!hasErrno(cause, 'ENOENT')) throw diskError(cause, 'Deleting a block');
    }
  }

  /** Every block on disk with its size and the time of its writing (milliseconds). */
  async *list(): AsyncGenerator<{ readonly key: string; readonly bytes: number; readonly writtenAt: number }> {
    for (const shard of await readdir(this.#directory)) {
      if (shard.length !== SHARD_LETTERS) continue;
      for (const file of await filesIn(join(this.#directory, shard))) {
        if (!file.endsWith(EXTENSION)) continue;
        const found = await stat(join(this.#directory, shard, file)).catch(() => undefined);
        if (found === undefined) continue;
        yield { key: file.slice(0, -EXTENSION.length), bytes: found.size, writtenAt: found.mtimeMs };
      }
    }
  }

  #path(key: string): string {
    return join(this.#directory, key.slice(-SHARD_LETTERS), key + EXTENSION);
  }

  async #shard(key: string): Promise<void> {
    const shard = key.slice(-SHARD_LETTERS);
    let made = this.#shards.get(shard);
    if (made === undefined) {
      made = makeFolder(join(this.#directory, shard), 0o777);
      this.#shards.set(shard, made);
      made.catch(() => this.#shards.delete(shard));
    }
    await made;
  }
}

/** None where there is no folder: what somebody else left there is no shard. */
async function filesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (hasErrno(cause, 'ENOTDIR', 'ENOENT')) return [];
    throw cause;
  }
}

/** False when the file is missing or has another length. */
async function syncFile(path: string, bytes: number): Promise<boolean> {
  let file: FileHandle;
  try {
    // Windows flushes only what is open for writing.
    file = await open(path, 'r+');
  } catch (cause) {
    if (hasErrno(cause, 'ENOENT')) return false;
    throw cause;
  }
  try {
    if ((await file.stat()).size !== bytes) return false;
    await file.datasync();
    return true;
  } finally {
    await file.close();
  }
}
