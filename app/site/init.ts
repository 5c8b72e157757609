/** Makes a small site of an empty folder. */
import { lstat, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { makeFolder } from '../../platform/disk/folder.ts';
import { writeNewFile } from '../../platform/disk/new-file.ts';
import { hasErrno } from '../../platform/errno.ts';
import { STARTER } from './starter.ts';

/**
 * Writes all files of a new site, or none. What is in the folder already stays as it is: files whose names begin with a dot (`.git`) are no
 * hindrance, others are.
 * @returns the paths of the files. @throws RelaymintError FILE_EXISTS, STORAGE_FULL, STORAGE_FAILED, ABORTED.
 */
export async function initSite(folder: string, signal: AbortSignal): Promise<readonly string[]> {
  assertNotAborted(signal, 'Making the site');
  const written: string[] = [];
  try {
    await assertEmpty(folder);
    await makeFolder(folder, 0o777);
    for (const [name, content] of STARTER) {
      assertNotAborted(signal, 'Making the site');
      const file = path.join(folder, name);
      // Never over another: somebody else may have come first.
      await writeNewFile(file, content);
      written.push(file);
    }
  } catch (cause) {
    for (const file of written) await rm(file, { force: true }).catch(() => undefined);
    throw hasErrno(cause, 'EEXIST') ? notEmpty(folder) : diskError(cause, `Making a site in ${folder}`);
  }
  return Array.from(STARTER.keys());
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

function notEmpty(folder: string): RelaymintError {
  return new RelaymintError('FILE_EXISTS', `${folder} is not an empty folder, and nothing in it is overwritten.`, {
    remedy: 'Name a new folder.',
  });
}
