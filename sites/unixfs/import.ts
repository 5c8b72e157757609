/** Imports a folder as UnixFS in the form of the profile `unixfs-v1-2025`: raw leaves of 1 MiB, 1,024 to a node, big folders sharded. */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { open, realpath, stat, type FileHandle } from 'node:fs/promises';
import { importer } from 'ipfs-unixfs-importer';
import type { BufferImporter, BufferImporterResult, ImportCandidate, WritableStorage } from 'ipfs-unixfs-importer';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import * as Digest from 'multiformats/hashes/digest';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import type { BlockSink, BlockStore, ImportSession, Pin } from '../blocks/contract.ts';
import { openFolder, type Folder, type FolderOptions, type Skipped } from './folder.ts';
import { LEAF_BYTES, ReadIndex, type ReadIndexOptions } from './read-index.ts';

/** Files read at once, and blocks of one file hashed at once: together at most 16 MiB in memory. */
const FILES_AT_ONCE = 4;
const BLOCKS_AT_ONCE = 4;
const READ_BYTES = 256 * 1024;
const IMPORTING = 'The import';
const SHA2_256 = 0x12;
const NOTHING = new Uint8Array(0);

export interface ImportProgress {
  /** Files and bytes so far, those that need not be read again too. */
  readonly files: number;
  readonly bytes: number;
  /** The file being read, relative to what is imported. */
  readonly path: string;
}

export interface ImportSummary {
  readonly root: CID;
  readonly files: number;
  readonly bytes: number;
  /** Of `bytes`, those that were read; the others are of files that did not change since they were read last. */
  readonly readBytes: number;
  readonly skipped: readonly Skipped[];
  /** Files that changed while they were read: what was imported of them may be of two states. */
  readonly changed: readonly string[];
}

export interface ImportOptions extends FolderOptions {
  readonly onProgress?: (progress: ImportProgress) => void;
}

export interface SiteImportOptions extends ImportOptions {
  /** Remembers from one import to the next what was read. */
  readonly index?: ReadIndexOptions;
  /** Which of the name's older roots are kept beside the new one, oldest first. Default: none. */
  readonly keep?: (older: readonly Pin[]) => readonly Pin[];
}

/**
 * Imports a folder, or a single file as a folder of one. The root depends on names and contents only. Links inside the
 * folder are followed; links that leave it, sockets and devices are left out and listed.
 * @throws RelaymintError FILE_NOT_FOUND, INVALID_ARGUMENT (nothing to publish), STORAGE_FAILED (a file cannot be read),
 * STORAGE_FULL, ABORTED.
 */
export async function importPath(path: string, sink: BlockSink, options: ImportOptions = {}): Promise<ImportSummary> {
  return await read(path, sink, options);
}

/** Imports into a store and keeps the result for `name`; the name's older roots are removed. Errors as importPath. */
export async function importSite(
  store: BlockStore,
  name: string,
  path: string,
  options: SiteImportOptions = {},
): Promise<ImportSummary & { readonly pin: Pin }> {
  const session = store.begin();
  try {
    const done = await readAndPin(session, name, path, options);
    const older = store.pins(name).filter(({ root }) => !root.equals(done.root));
    const kept = options.keep?.(older) ?? [];
    for (const old of older) if (!kept.includes(old)) await store.unpin(name, old.root);
    return done;
  } finally {
    await session.close();
  }
}

async function readAndPin(
  session: ImportSession,
  name: string,
  path: string,
  options: SiteImportOptions,
): Promise<ImportSummary & { readonly pin: Pin }> {
  const index = options.index && (await ReadIndex.open(options.index, await absoluteOf(path)));
  const pin = async (summary: ImportSummary): Promise<ImportSummary & { readonly pin: Pin }> => {
    assertNotAborted(options.signal, IMPORTING, 'Start it again.');
    return { ...summary, pin: await session.pin(name, summary.root) };
  };
  const summary = await read(path, session, options, index && { index, session });
  try {
    return await pin(summary);
  } catch (error) {
    // Blocks of files that were not read again are gone, or one of a folder is damaged, so that the store looks at each of them now.
    if (!isRelaymintError(error, 'CONTENT_NOT_FOUND')) throw error;
    return await pin(await read(path, session, options));
  } finally {
    // Without it the next import reads everything, and says so if the disk is full.
    await index?.save().catch(() => undefined);
  }
}

/** What `openFolder` says of a folder that is missing is better. */
async function absoluteOf(path: string): Promise<string> {
  return await realpath(path).catch(() => path);
}

async function read(path: string, sink: BlockSink, options: ImportOptions, memory?: Memory): Promise<ImportSummary> {
  const walk = new Reading(await openFolder(path, options), options, memory);
  const storage: Pick<WritableStorage, 'put'> = {
    async put(cid, block) {
      if (!(block instanceof Uint8Array)) throw new TypeError('the importer hands over whole blocks');
      await sink.put(cid, block);
      return cid;
    },
  };
  let root: CID | undefined;
  try {
    const entries = importer(walk.candidates(), storage, {
      profile: 'unixfs-v1-2025',
      wrapWithDirectory: true,
      fileImportConcurrency: FILES_AT_ONCE,
      blockWriteConcurrency: BLOCKS_AT_ONCE,
      bufferImporter: walk.leaves,
    });
    for await (const entry of entries) if (entry.path === '') root = entry.cid;
  } catch (error) {
    assertNotAborted(options.signal, IMPORTING, 'Start it again.');
    throw error;
  }
  if (root === undefined || walk.files === 0) {
    throw new RelaymintError('INVALID_ARGUMENT', `There is nothing to publish in ${path}.`, {
      remedy: 'Give a folder with files in it.',
    });
  }
  const { files, bytes, readBytes, skipped, changed } = walk;
  return { root, files, bytes, readBytes, skipped, changed };
}

/** What an import need not read, and where the blocks of it are. */
interface Memory {
  readonly index: ReadIndex;
  readonly session: Pick<ImportSession, 'hold'>;
}

/** A leaf of a file on its way to the importer. */
type Leaf = () => Promise<BufferImporterResult>;

/** Reads the files of one folder, and counts what it read. */
class Reading {
  files = 0;
  bytes = 0;
  readBytes = 0;
  readonly changed: string[] = [];
  readonly #folder: Folder;
  readonly #options: ImportOptions;
  readonly #memory: Memory | undefined;
  /** Files that the importer has in hand, by their paths: those that need not be read, and those that were read to their end. */
  readonly #known = new Map<string, { readonly leaves: readonly CID[]; readonly size: number }>();
  readonly #seen = new Map<string, { readonly stats: BigIntStats; readonly begunAt: number }>();

  constructor(folder: Folder, options: ImportOptions, memory: Memory | undefined) {
    this.#folder = folder;
    this.#options = options;
    this.#memory = memory;
  }

  get skipped(): readonly Skipped[] {
    return this.#folder.skipped;
  }

  async *candidates(): AsyncGenerator<ImportCandidate> {
    for await (const { path, file } of this.#folder.entries()) {
      if (file === undefined) {
        yield { path };
        continue;
      }
      yield { path, content: (await this.#recall(path, file)) ? [] : this.#read(file, path) };
    }
  }

  /** In place of the importer's own: the leaves that a file becomes, or became when it was read last. */
  readonly leaves: BufferImporter = (file, storage) => {
    const path = file.originalPath ?? '';
    const known = this.#known.get(path);
    if (known === undefined) return this.#cut(path, file.content, storage);
    this.#known.delete(path);
    return again(known);
  };

  async *#cut(path: string, content: AsyncIterable<Uint8Array>, storage: WritableStorage): AsyncGenerator<Leaf> {
    const leaves: CID[] = [];
    for await (const block of content) {
      const digest = createHash('sha256').update(block).digest();
      const cid = CID.createV1(raw.code, Digest.create(SHA2_256, digest));
      leaves.push(cid);
      yield async () => {
        await storage.put(cid, block);
        return { cid, size: BigInt(block.length), block };
      };
    }
    const seen = this.#seen.get(path);
    this.#seen.delete(path);
    if (seen !== undefined) this.#memory?.index.note(path, seen.stats, seen.begunAt, leaves);
  }

  /** True for a file that need not be read: it is as it was, and all its leaves are here. */
  async #recall(path: string, file: string): Promise<boolean> {
    if (this.#memory === undefined) return false;
    const { index, session } = this.#memory;
    const stats = await stat(file, { bigint: true }).catch(() => undefined);
    const leaves = stats && index.leavesOf(path, stats);
    if (stats === undefined || leaves === undefined) return false;
    for (const leaf of leaves) if (!(await session.hold(leaf))) return false;
    const size = Number(stats.size);
    index.keep(path);
    this.#known.set(path, { leaves, size });
    this.bytes += size;
    this.#done(path);
    return true;
  }

  async *#read(absolute: string, path: string): AsyncGenerator<Uint8Array> {
    const { signal } = this.#options;
    const begunAt = this.#memory?.index.begin() ?? 0;
    try {
      const handle = await open(absolute, 'r');
      try {
        const before = await handle.stat({ bigint: true });
        const stream = handle.createReadStream({
          highWaterMark: READ_BYTES,
          autoClose: false,
          ...(signal && { signal }),
        });
        for await (const chunk of stream as AsyncIterable<Buffer>) {
          this.bytes += chunk.length;
          this.readBytes += chunk.length;
          this.#progress(path);
          yield chunk;
        }
        await this.#compare(path, handle, before, begunAt);
      } finally {
        await handle.close();
      }
    } catch (cause) {
      throw diskError(cause, `Reading ${path}`);
    }
    this.#done(path);
  }

  async #compare(path: string, handle: FileHandle, before: BigIntStats, begunAt: number): Promise<void> {
    const after = await handle.stat({ bigint: true });
    const same = after.size === before.size && after.mtimeNs === before.mtimeNs && after.ctimeNs === before.ctimeNs;
    if (!same) this.changed.push(path);
    else if (this.#memory !== undefined) this.#seen.set(path, { stats: after, begunAt });
  }

  #done(path: string): void {
    this.files += 1;
    this.#progress(path);
  }

  #progress(path: string): void {
    this.#options.onProgress?.({ files: this.files, bytes: this.bytes, path });
  }
}

/** The leaves of a file that is not read again. */
async function* again({
  leaves,
  size,
}: {
  readonly leaves: readonly CID[];
  readonly size: number;
}): AsyncGenerator<Leaf> {
  for (const [number, cid] of leaves.entries()) {
    const length = Math.min(LEAF_BYTES, size - number * LEAF_BYTES);
    // Only the size counts of a block that is stored already.
    yield async () => await Promise.resolve({ cid, size: BigInt(length), block: NOTHING });
  }
}
