/**
 * One file per block, written whole or not at all, in the folder layout of the blockstore-fs package. Not that package
 * itself: it hides the reason of a failure (a full disk must be told apart) and two writers share one temporary file.
 */
import { mkdir, readFile, readdir, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from './block.ts';

const EXTENSION = '.data';
const SHARD_LETTERS = 2;
const TEMPORARY = '.partial';

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
      await mkdir(join(directory, TEMPORARY), { recursive: true });
    } catch (cause) {
      throw diskError(cause, 'Opening the block store');
    }
    return new BlockFiles(directory);
  }

  /** undefined when there is no such file. @throws RelaymintError STORAGE_FAILED. */
  async read(key: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.#path(key));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw diskError(cause, 'Reading a block');
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

  async remove(key: string): Promise<void> {
    try {
      await unlink(this.#path(key));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw diskError(cause, 'Deleting a block');
    }
  }

  /** Every block on disk with its size and the time of its writing (milliseconds). */
  async *list(): AsyncGenerator<{ readonly key: string; readonly bytes: number; readonly writtenAt: number }> {
    for (const shard of await readdir(this.#directory)) {
      if (shard.length !== SHARD_LETTERS) continue;
      for (const file of await readdir(join(this.#directory, shard))) {
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
      made = mkdir(join(this.#directory, shard), { recursive: true });
      this.#shards.set(shard, made);
      made.catch(() => this.#shards.delete(shard));
    }
    await made;
  }
}
