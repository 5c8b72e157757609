/** Which files and folders of a folder are published, in the order of their names, and which are left out. */
import { isUtf8 } from 'node:buffer';
import type { Dirent, Stats } from 'node:fs';
import { access, constants, lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_PATH_SEGMENTS } from '../../core/limits.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { hasErrno } from '../../platform/errno.ts';

const READING = 'Reading the folder';

/** Why something is left out. One odd file never keeps the others from being published. */
export type SkipReason =
  | 'hidden'
  | 'a name that is not UTF-8'
  | 'a name that ends in a backslash'
  | 'a link to nothing'
  | 'a link that leaves the folder'
  | 'a link to a folder that contains it'
  | 'neither a file nor a folder'
  | 'it cannot be read'
  | 'it went while the folder was read'
  | 'too many folders deep';

/** Something left out, and why. */
export interface Skipped {
  readonly path: string;
  readonly reason: SkipReason;
}

export interface FolderOptions {
  readonly signal?: AbortSignal;
  /** Also takes entries whose name begins with a dot (`.well-known` is always taken). Default false: `.git` and `.env` are not published. */
  readonly hidden?: boolean;
  /** Files of elsewhere, by the path at which they are published with the folder; where it has one of that path, its own is. */
  readonly beside?: ReadonlyMap<string, string>;
}

export interface FolderEntry {
  /** Relative to what is published, with slashes. */
  readonly path: string;
  /** Where the file is; undefined for a folder. */
  readonly file: string | undefined;
}

/** The files that publishing `path` would take. Errors as `openFolder`, and STORAGE_FAILED. */
export async function* publishableFiles(
  path: string,
  options: FolderOptions = {},
): AsyncGenerator<{ readonly path: string; readonly file: string }, undefined> {
  const folder = await openFolder(path, options);
  for await (const { path: relativePath, file } of folder.entries()) {
    if (file !== undefined) yield { path: relativePath, file };
  }
  return undefined;
}

/** @throws RelaymintError FILE_NOT_FOUND, INVALID_ARGUMENT (neither a file nor a folder), ABORTED. */
export async function openFolder(path: string, options: FolderOptions = {}): Promise<Folder> {
  assertNotAborted(options.signal, READING);
  const absolute = resolve(path);
  let found: Stats;
  let real: string;
  try {
    real = await realpath(absolute);
    found = await stat(real);
  } catch (cause) {
    throw new RelaymintError('FILE_NOT_FOUND', `${path} does not exist.`, {
      remedy: 'Give the folder or file to publish.',
      cause,
    });
  }
  if (!found.isFile() && !found.isDirectory()) {
    throw new RelaymintError('INVALID_ARGUMENT', `${path} is neither a folder nor a file.`, {
      remedy: 'Give the folder or file to publish.',
    });
  }
  return new Folder(absolute, real, found.isFile(), options);
}

/** One walk. A single file is a folder of one. */
export class Folder {
  readonly skipped: Skipped[] = [];
  readonly #path: string;
  readonly #real: string;
  readonly #single: boolean;
  readonly #options: FolderOptions;

  constructor(path: string, real: string, single: boolean, options: FolderOptions) {
    this.#path = path;
    this.#real = real;
    this.#single = single;
    this.#options = options;
  }

  /** @throws RelaymintError STORAGE_FAILED, ABORTED. */
  async *entries(): AsyncGenerator<FolderEntry> {
    const beside = new Map(this.#options.beside);
    for await (const entry of this.#own()) {
      beside.delete(entry.path);
      yield entry;
    }
    for (const [path, file] of beside) yield { path, file };
  }

  async *#own(): AsyncGenerator<FolderEntry> {
    if (this.#single) yield { path: basename(this.#path), file: this.#real };
    else yield* this.#folder(this.#real, '', [this.#real]);
  }

  async *#folder(directory: string, at: string, ancestors: readonly string[]): AsyncGenerator<FolderEntry> {
    if (ancestors.length > MAX_PATH_SEGMENTS) {
      // Nothing in it could be asked for.
      this.skipped.push({ path: at, reason: 'too many folders deep' });
      return;
    }
    let entries: Dirent<Buffer>[];
    try {
      entries = await readdir(directory, { withFileTypes: true, encoding: 'buffer' });
    } catch (cause) {
      const reason = at === '' ? undefined : unreadable(cause);
      if (reason === undefined) throw diskError(cause, `Reading the folder ${at === '' ? this.#path : at}`);
      this.skipped.push({ path: at, reason });
      return;
    }
    if (at !== '') yield { path: at, file: undefined };
    const names = entries.map(({ name: bytes }) => ({ name: bytes.toString(), bytes }));
    names.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const { name, bytes } of names) {
      assertNotAborted(this.#options.signal, READING);
      const path = at === '' ? name : `${at}/${name}`;
      const unwanted = isUtf8(bytes) ? this.#unwanted(name) : 'a name that is not UTF-8';
      if (unwanted !== undefined) this.skipped.push({ path, reason: unwanted });
      else yield* this.#entry(join(directory, name), path, ancestors);
    }
  }

  async *#entry(absolute: string, path: string, ancestors: readonly string[]): AsyncGenerator<FolderEntry> {
    const target = await this.#target(absolute, path, ancestors);
    const found = target === undefined ? undefined : await this.#reach(target, path);
    if (target === undefined || found === undefined) return;
    if (found.isDirectory()) yield* this.#folder(target, path, [...ancestors, target]);
    else if (found.isFile()) yield { path, file: target };
    else this.skipped.push({ path, reason: 'neither a file nor a folder' });
  }

  /** The target of a link; the path itself if it is not a link; undefined (and listed as skipped) if the link is not followed. */
  async #target(absolute: string, path: string, ancestors: readonly string[]): Promise<string | undefined> {
    const found = await this.#lstat(absolute, path);
    if (found?.isSymbolicLink() !== true) return found && absolute;
    const real = await realpath(absolute).catch(() => undefined);
    let reason: SkipReason = 'a link to nothing';
    if (real !== undefined) {
      if (!this.#inside(real)) reason = 'a link that leaves the folder';
      else if (ancestors.includes(real)) reason = 'a link to a folder that contains it';
      else return real;
    }
    this.skipped.push({ path, reason });
    return undefined;
  }

  #unwanted(name: string): SkipReason | undefined {
    if (name.startsWith('.') && name !== '.well-known' && this.#options.hidden !== true) return 'hidden';
    // A backslash before a slash means something else to IPFS path parsers.
    if (name.endsWith('\\')) return 'a name that ends in a backslash';
    return undefined;
  }

  /** What it is; undefined (and listed as skipped) if it is gone, or a file that may not be read. */
  async #reach(absolute: string, path: string): Promise<Stats | undefined> {
    const found = await this.#lstat(absolute, path);
    if (found?.isFile() !== true) return found;
    return await this.#tried(
      access(absolute, constants.R_OK).then(() => found),
      path,
    );
  }

  #lstat(absolute: string, path: string): Promise<Stats | undefined> {
    return this.#tried(lstat(absolute), path);
  }

  /** undefined (and listed as skipped) when it failed for this one alone. @throws RelaymintError STORAGE_FAILED. */
  async #tried<T>(looking: Promise<T>, path: string): Promise<T | undefined> {
    try {
      return await looking;
    } catch (cause) {
      const reason = unreadable(cause);
      if (reason === undefined) throw diskError(cause, `Reading ${path}`);
      this.skipped.push({ path, reason });
      return undefined;
    }
  }

  #inside(real: string): boolean {
    const away = relative(this.#real, real);
    return away !== '..' && !away.startsWith(`..${sep}`);
  }
}

/** undefined: the disk itself failed. */
function unreadable(cause: unknown): SkipReason | undefined {
  if (hasErrno(cause, 'EACCES', 'EPERM')) return 'it cannot be read';
  return hasErrno(cause, 'ENOENT', 'ENOTDIR') ? 'it went while the folder was read' : undefined;
}
