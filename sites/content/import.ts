/** Folder or file -> UnixFS blocks: CIDv1, SHA2-256, raw leaves of 1 MiB, 1,024 links a node, big folders sharded. */
import { createReadStream } from 'node:fs';
import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { importer } from 'ipfs-unixfs-importer';
import type { ImportCandidate, WritableStorage } from 'ipfs-unixfs-importer';
import type { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_PATH_SEGMENTS } from '../../core/limits.ts';
import { diskError } from './block.ts';
import type { BlockSink, BlockStore, Pin } from './contract.ts';

/** Files read at once, and blocks of one file hashed at once: together at most 16 MiB in memory. */
const FILES_AT_ONCE = 4;
const BLOCKS_AT_ONCE = 4;
const READ_BYTES = 256 * 1024;

export interface ImportProgress {
  /** Files and bytes read so far. */
  readonly files: number;
  readonly bytes: number;
  /** The file being read, relative to what is imported. */
  readonly path: string;
}

/** Something left out of an import, and why. */
export interface Skipped {
  readonly path: string;
  readonly reason: string;
}

export interface ImportSummary {
  readonly root: CID;
  readonly files: number;
  readonly bytes: number;
  readonly skipped: readonly Skipped[];
}

export interface ImportOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ImportProgress) => void;
  /** Also takes entries whose name begins with a dot (`.well-known` is always taken). Default false: `.git` and `.env` stay home. */
  readonly hidden?: boolean;
}

/**
 * Imports a folder, or a single file as a folder of one. The root depends on names and contents only. Links inside the
 * folder are followed; links that leave it, sockets and devices are left out and listed.
 * @throws RelaymintError FILE_NOT_FOUND, INVALID_ARGUMENT (nothing to publish), STORAGE_FAILED (a file cannot be read),
 * STORAGE_FULL, ABORTED.
 */
export async function importPath(path: string, sink: BlockSink, options: ImportOptions = {}): Promise<ImportSummary> {
  const walk = await Walk.begin(path, options);
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
    if (options.signal?.aborted === true) {
      throw new RelaymintError('ABORTED', 'The import was stopped.', { remedy: 'Start it again.', cause: error });
    }
    throw error;
  }
  if (root === undefined || walk.files === 0) {
    throw new RelaymintError('INVALID_ARGUMENT', `There is nothing to publish in ${path}.`, {
      remedy: 'Give a folder with files in it.',
    });
  }
  return { root, files: walk.files, bytes: walk.bytes, skipped: walk.skipped };
}

/** Imports into a store and keeps the result for `name`; the name's older roots are let go. Errors as importPath. */
export async function importSite(
  store: BlockStore,
  name: string,
  path: string,
  options: ImportOptions = {},
): Promise<ImportSummary & { readonly pin: Pin }> {
  const session = store.begin();
  try {
    const summary = await importPath(path, session, options);
    const pin = await session.pin(name, summary.root);
    for (const old of store.pins(name)) if (!old.root.equals(pin.root)) await store.unpin(name, old.root);
    return { ...summary, pin };
  } finally {
    await session.close();
  }
}

/** One walk over the files, in the order of their names. */
class Walk {
  files = 0;
  bytes = 0;
  readonly skipped: Skipped[] = [];
  readonly #path: string;
  readonly #real: string;
  readonly #single: boolean;
  readonly #options: ImportOptions;

  private constructor(path: string, real: string, single: boolean, options: ImportOptions) {
    this.#path = path;
    this.#real = real;
    this.#single = single;
    this.#options = options;
  }

  static async begin(path: string, options: ImportOptions): Promise<Walk> {
    const absolute = resolve(path);
    let found: Stats;
    let real: string;
    try {
      real = await realpath(absolute);
      found = await stat(real);
    } catch (cause) {
      throw new RelaymintError('FILE_NOT_FOUND', `There is no ${path}.`, {
        remedy: 'Give the folder or file to publish.',
        cause,
      });
    }
    if (!found.isFile() && !found.isDirectory()) {
      throw new RelaymintError('INVALID_ARGUMENT', `${path} is neither a folder nor a file.`, {
        remedy: 'Give the folder or file to publish.',
      });
    }
    return new Walk(absolute, real, found.isFile(), options);
  }

  async *candidates(): AsyncGenerator<ImportCandidate> {
    if (this.#single) yield this.#file(this.#real, basename(this.#path));
    else yield* this.#folder(this.#real, '', [this.#real]);
  }

  async *#folder(directory: string, at: string, ancestors: readonly string[]): AsyncGenerator<ImportCandidate> {
    if (at !== '') yield { path: at };
    if (ancestors.length > MAX_PATH_SEGMENTS) {
      throw new RelaymintError('LIMIT_EXCEEDED', `${at} is more than ${MAX_PATH_SEGMENTS} folders deep.`, {
        remedy: 'Flatten the tree.',
      });
    }
    let entries: Dirent[];
    try {
      entries = await readdir(directory, { withFileTypes: true });
    } catch (cause) {
      throw diskError(cause, `Reading the folder ${at === '' ? this.#path : at}`);
    }
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      this.#options.signal?.throwIfAborted();
      const path = at === '' ? entry.name : `${at}/${entry.name}`;
      const unwanted = this.#unwanted(entry.name);
      if (unwanted !== undefined) this.skipped.push({ path, reason: unwanted });
      else yield* this.#entry(join(directory, entry.name), path, ancestors);
    }
  }

  async *#entry(absolute: string, path: string, ancestors: readonly string[]): AsyncGenerator<ImportCandidate> {
    const target = await this.#target(absolute, path, ancestors);
    if (target === undefined) return;
    const found = await this.#lstat(target, path);
    if (found.isDirectory()) yield* this.#folder(target, path, [...ancestors, target]);
    else if (found.isFile()) yield this.#file(target, path);
    else this.skipped.push({ path, reason: 'neither a file nor a folder' });
  }

  /** Where a link leads; the path itself when it is none; undefined (and listed as skipped) when it is not followed. */
  async #target(absolute: string, path: string, ancestors: readonly string[]): Promise<string | undefined> {
    if (!(await this.#lstat(absolute, path)).isSymbolicLink()) return absolute;
    const real = await realpath(absolute).catch(() => undefined);
    let reason = 'a link to nothing';
    if (real !== undefined) {
      if (!this.#inside(real)) reason = 'a link that leaves the folder';
      else if (ancestors.includes(real)) reason = 'a link to a folder that contains it';
      else return real;
    }
    this.skipped.push({ path, reason });
    return undefined;
  }

  #file(absolute: string, path: string): ImportCandidate {
    return { path, content: this.#read(absolute, path) };
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

  #unwanted(name: string): string | undefined {
    if (name.startsWith('.') && name !== '.well-known' && this.#options.hidden !== true) return 'hidden';
    // A backslash before a slash means something else to IPFS path parsers.
    if (name.endsWith('\\')) return 'a name that ends in a backslash';
    return undefined;
  }

  async #lstat(absolute: string, path: string): Promise<Stats> {
    try {
      return await lstat(absolute);
    } catch (cause) {
      throw diskError(cause, `Reading ${path}`);
    }
  }

  #inside(real: string): boolean {
    const away = relative(this.#real, real);
    return away !== '..' && !away.startsWith(`..${sep}`);
  }
}
