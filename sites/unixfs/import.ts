/** Folder or file -> UnixFS blocks: CIDv1, SHA2-256, raw leaves of 1 MiB, 1,024 links a node, big folders sharded. */
import { createReadStream } from 'node:fs';
import { importer } from 'ipfs-unixfs-importer';
import type { ImportCandidate, WritableStorage } from 'ipfs-unixfs-importer';
import type { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import type { BlockSink, BlockStore, Pin } from '../blocks/contract.ts';
import { openFolder, type Folder, type FolderOptions, type Skipped } from './folder.ts';

/** Files read at once, and blocks of one file hashed at once: together at most 16 MiB in memory. */
const FILES_AT_ONCE = 4;
const BLOCKS_AT_ONCE = 4;
const READ_BYTES = 256 * 1024;
const IMPORTING = 'The import';

export interface ImportProgress {
  /** Files and bytes read so far. */
  readonly files: number;
  readonly bytes: number;
  /** The file being read, relative to what is imported. */
  readonly path: string;
}

export interface ImportSummary {
  readonly root: CID;
  readonly files: number;
  readonly bytes: number;
  readonly skipped: readonly Skipped[];
}

export interface ImportOptions extends FolderOptions {
  readonly onProgress?: (progress: ImportProgress) => void;
}

/**
 * Imports a folder, or a single file as a folder of one. The root depends on names and contents only. Links inside the
 * folder are followed; links that leave it, sockets and devices are left out and listed.
 * @throws RelaymintError FILE_NOT_FOUND, INVALID_ARGUMENT (nothing to publish), STORAGE_FAILED (a file cannot be read),
 * STORAGE_FULL, ABORTED.
 */
export async function importPath(path: string, sink: BlockSink, options: ImportOptions = {}): Promise<ImportSummary> {
  const walk = new Reading(await openFolder(path, options), options);
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
  return { root, files: walk.files, bytes: walk.bytes, skipped: walk.skipped };
}

/** Imports into a store and keeps the result for `name`; the name's older roots are removed. Errors as importPath. */
export async function importSite(
  store: BlockStore,
  name: string,
  path: string,
  options: ImportOptions = {},
): Promise<ImportSummary & { readonly pin: Pin }> {
  const session = store.begin();
  try {
    const summary = await importPath(path, session, options);
    assertNotAborted(options.signal, IMPORTING, 'Start it again.');
    const pin = await session.pin(name, summary.root);
    for (const old of store.pins(name)) if (!old.root.equals(pin.root)) await store.unpin(name, old.root);
    return { ...summary, pin };
  } finally {
    await session.close();
  }
}

/** Reads the files of one folder, and counts what it read. */
class Reading {
  files = 0;
  bytes = 0;
  readonly #folder: Folder;
  readonly #options: ImportOptions;

  constructor(folder: Folder, options: ImportOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  get skipped(): readonly Skipped[] {
    return this.#folder.skipped;
  }

  async *candidates(): AsyncGenerator<ImportCandidate> {
    for await (const { path, file } of this.#folder.entries()) {
      yield file === undefined ? { path } : { path, content: this.#read(file, path) };
    }
  }

  async *#read(absolute: string, path: string): AsyncGenerator<Uint8Array> {
    const { signal, onProgress } = this.#options;
    try {
      const stream = createReadStream(absolute, { highWaterMark: READ_BYTES, ...(signal && { signal }) });
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        this.bytes += chunk.length;
        onProgress?.({ files: this.files, bytes: this.bytes, path });
        yield chunk;
      }
    } catch (cause) {
      throw diskError(cause, `Reading ${path}`);
    }
    this.files += 1;
    onProgress?.({ files: this.files, bytes: this.bytes, path });
  }
}
