/** Two tiers: memory for what is asked for all the time, and files for what was seen before. */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { base32upper } from 'multiformats/bases/base32';
import type { CID } from 'multiformats/cid';
import {
  MAX_DIRECTORY_CACHE_BYTES,
  MAX_LEAF_CACHE_BESIDE_DISK_BYTES,
  MAX_LEAF_CACHE_BYTES,
} from '../../core/limits.ts';
import { silentLog, type Log } from '../../core/ports.ts';
import type { Bytes } from '../../core/units.ts';
import { isDirectoryCodec } from '../blocks/index.ts';
import type { BlockCache } from './contract.ts';
import { DiskTier } from './disk-tier.ts';

export interface BlockCacheOptions {
  /** Created when missing; belongs to one process at a time. */
  readonly directory: string;
  /** Most bytes on disk, counted as a file system does; 0: none, and what an earlier run left is removed. */
  readonly limit: Bytes;
  readonly log?: Log;
}

/** Keeps all verified blocks. @throws RelaymintError STORAGE_FAILED, STORAGE_FULL. */
export async function openBlockCache({ directory, limit, log = silentLog }: BlockCacheOptions): Promise<BlockCache> {
  if (limit > 0) return new TieredCache(true, await DiskTier.open(directory, limit, log));
  await DiskTier.remove(directory);
  return new TieredCache(true, undefined);
}

/** Removes what an earlier run left there. @throws RelaymintError STORAGE_FAILED. */
export async function removeBlockCache(directory: string): Promise<void> {
  await DiskTier.remove(directory);
}

/** Keeps blocks in memory alone; without `leaves` only those of folders and of the trees of files, which seldom hold content. */
export function createMemoryCache({ leaves }: { readonly leaves: boolean }): BlockCache {
  return new TieredCache(leaves, undefined);
}

class TieredCache implements BlockCache {
  readonly #leaves: boolean;
  readonly #disk: DiskTier | undefined;
  /** Apart from the leaves: a film must not push out the folders of every site. */
  readonly #interior = memory(MAX_DIRECTORY_CACHE_BYTES);
  readonly #leaf: LRUCache<string, Uint8Array>;

  constructor(leaves: boolean, disk: DiskTier | undefined) {
    this.#leaves = leaves;
    this.#disk = disk;
    this.#leaf = memory(disk === undefined ? MAX_LEAF_CACHE_BYTES : MAX_LEAF_CACHE_BESIDE_DISK_BYTES);
  }

  keeps(cid: CID): boolean {
    return this.#leaves || isDirectoryCodec(cid);
  }

  async get(site: string, cid: CID): Promise<Uint8Array | undefined> {
    const key = keyOf(site, cid);
    const here = this.#tierOf(cid).get(key);
    if (here !== undefined) return here;
    const block = await this.#disk?.get(key, cid);
    if (block !== undefined) this.#tierOf(cid).set(key, block);
    return block;
  }

  put(site: string, cid: CID, block: Uint8Array): void {
    const key = keyOf(site, cid);
    this.#tierOf(cid).set(key, own(block));
    this.#disk?.put(key, block);
  }

  async settled(): Promise<void> {
    await this.#disk?.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk?.[Symbol.asyncDispose]();
  }

  #tierOf(cid: CID): LRUCache<string, Uint8Array> {
    return isDirectoryCodec(cid) ? this.#interior : this.#leaf;
  }
}

function memory(maxSize: number): LRUCache<string, Uint8Array> {
  return new LRUCache({ maxSize, sizeCalculation: (block) => block.length + 1 });
}

/** Also the name of a file, which says nothing of what is in it. */
function keyOf(site: string, cid: CID): string {
  const hash = createHash('sha256').update(`${site}\n`).update(cid.multihash.bytes);
  return base32upper.encode(hash.digest());
}

/** A block may be a window of a longer piece of the stream that brought it, which would stay as long as the block. */
function own(block: Uint8Array): Uint8Array {
  if (block.buffer.byteLength === block.length) return block;
  // Not from the pool, which is such a longer piece.
  const copy = Buffer.allocUnsafeSlow(block.length);
  copy.set(block);
  return copy;
}
