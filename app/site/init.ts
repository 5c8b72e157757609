/** Makes a small site of an empty folder, and beside it the file that its manifest is made from. */
import { lstat, mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { makeFolder } from '../../platform/disk/folder.ts';
import { writeNewFile } from '../../platform/disk/new-file.ts';
import { hasErrno } from '../../platform/errno.ts';
import { manifestBeside, manifestFound } from '../../sites/manifest/index.ts';
import { STARTER, STARTER_MANIFEST } from './starter.ts';
import { filesOf } from './template.ts';

export interface InitOptions {
  /** The file for the manifest. Default: beside the folder, where other commands look for it. */
  readonly manifest?: string | undefined;
  /** One of `TEMPLATES`. Default: a page or two. */
  readonly template?: string | undefined;
  /** What the site of a template is called. Default: as its folder. */
  readonly title?: string | undefined;
  readonly signal: AbortSignal;
}

export interface NewSite {
  /** Their paths in the folder. */
  readonly files: readonly string[];
  /** undefined: there is none, because the folder above takes no files, and nobody named another place. */
  readonly manifest: string | undefined;
}

const MAKING = 'Making the site';

/**
 * Writes all files of a new site, or none. What is there already stays as it is: files in the folder whose names begin with a dot (`.git`) are
 * no hindrance, others are.
 * @throws RelaymintError FILE_EXISTS, INVALID_ARGUMENT (the manifest would be a file of the site, or all of it be files of another one; no such
 * template, or the title cannot be one), FILE_NOT_FOUND (the installation lacks the template), STORAGE_FULL, STORAGE_FAILED, ABORTED.
 */
export async function initSite(folder: string, options: InitOptions): Promise<NewSite> {
  const { manifest: wanted, template, title, signal } = options;
  const manifest = wanted ?? manifestBeside(folder);
  assertNotAborted(signal, MAKING);
  assertBeside(folder, manifest);
  await assertInNoOther(folder);
  if (template === undefined && title !== undefined) throw noTitle();
  const made =
    template === undefined
      ? { files: STARTER, manifest: STARTER_MANIFEST }
      : await filesOf(template, title ?? path.basename(path.resolve(folder)));
  const written: string[] = [];
  const folders = new Set<string>();
  // Never over another: somebody else may have come first.
  const write = async (file: string, content: string, taken: () => RelaymintError): Promise<void> => {
    assertNotAborted(signal, MAKING);
    try {
      await writeNewFile(file, content);
    } catch (cause) {
      throw hasErrno(cause, 'EEXIST') ? taken() : diskError(cause, `Writing ${file}`);
    }
    written.push(file);
  };
  try {
    await assertEmpty(folder);
    await makeFolder(folder, 0o777);
    await write(manifest, made.manifest, () => isThere(manifest)).catch((error: unknown) => {
      // Another user's folder, or a disk that takes nothing. What is in the folder itself would be published.
      if (wanted !== undefined || !isClosed(error)) throw error;
    });
    for (const [name, content] of made.files) {
      const above = path.join(folder, path.dirname(name));
      if (name.includes('/') && !folders.has(above)) {
        await mkdir(above);
        folders.add(above);
      }
      await write(path.join(folder, name), content, () => notEmpty(folder));
    }
  } catch (cause) {
    for (const file of written) await rm(file, { force: true }).catch(() => undefined);
    // With what somebody else put there they stay.
    for (const above of folders) await rmdir(above).catch(() => undefined);
    throw hasErrno(cause, 'EEXIST') ? notEmpty(folder) : diskError(cause, `Making a site in ${folder}`);
  }
  return { files: Array.from(made.files.keys()), manifest: written.includes(manifest) ? manifest : undefined };
}

function isClosed(error: unknown): boolean {
  return error instanceof Error && hasErrno(error.cause, 'EACCES', 'EPERM', 'EROFS');
}

/** A folder with a manifest beside it is published with all that is in it. @throws RelaymintError INVALID_ARGUMENT */
async function assertInNoOther(folder: string): Promise<void> {
  for (let at = path.dirname(path.resolve(folder)); at !== path.dirname(at); at = path.dirname(at)) {
    if ((await manifestFound(at)) === undefined) continue;
    throw new RelaymintError('INVALID_ARGUMENT', `${folder} is in the site ${at}, and would be published with it.`, {
      remedy: 'Name a folder beside that site.',
    });
  }
}

/** What is in the folder is published. @throws RelaymintError INVALID_ARGUMENT */
function assertBeside(folder: string, manifest: string): void {
  const [first] = path.relative(path.resolve(folder), path.resolve(manifest)).split(path.sep);
  if (first === '..') return;
  throw new RelaymintError('INVALID_ARGUMENT', `${manifest} is in ${folder}, and would be published with the site.`, {
    remedy: 'Name a file beside the folder.',
  });
}

async function assertEmpty(folder: string): Promise<void> {
  const found = await lstat(folder).catch((error: unknown) => {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (found.isFile()) throw notEmpty(folder);
  const names = await readdir(folder);
  if (names.some((name) => !name.startsWith('.'))) throw notEmpty(folder);
}

function noTitle(): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', 'A title goes into a template, and none was named.', {
    remedy: 'Name one with --template.',
  });
}

function isThere(manifest: string): RelaymintError {
  return new RelaymintError('FILE_EXISTS', `${manifest} is there already, and is not overwritten.`, {
    remedy: 'Move it away, or name another file with --manifest.',
  });
}

function notEmpty(folder: string): RelaymintError {
  return new RelaymintError('FILE_EXISTS', `${folder} is not an empty folder, and nothing in it is overwritten.`, {
    remedy: 'Name a new folder.',
  });
}
