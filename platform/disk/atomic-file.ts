/** Small files that are read and replaced as a whole. */
import { randomBytes } from 'node:crypto';
import { lstat, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import { hasErrno } from '../errno.ts';
import { diskError, isDiskFull } from './disk-error.ts';

/** Readers see either the old file or the new one, also after a power cut. Mode 0600. @throws RelaymintError STORAGE_FAILED. */
export async function replaceFile(file: string, content: Uint8Array): Promise<void> {
  await replaceFileBy(file, [content], 0o600);
}

/**
 * The same for what comes in chunks. What they end with, it ends with, and the old file stays.
 * @returns how many bytes it has. @throws RelaymintError STORAGE_FAILED, STORAGE_FULL, and what `chunks` throw of ours.
 */
export async function replaceFileBy(
  file: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  mode = 0o666,
): Promise<number> {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}`);
  let size = 0;
  await assertFileOrNothing(file);
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      for await (const chunk of chunks) {
        await handle.writeFile(chunk);
        size += chunk.length;
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    return size;
  } catch (cause) {
    await rm(temporary, { force: true });
    if (isRelaymintError(cause)) throw cause;
    if (isDiskFull(cause)) throw diskError(cause, `Writing ${file}`);
    throw new RelaymintError('STORAGE_FAILED', `${file} cannot be written: ${messageOf(cause)}.`, {
      remedy: 'Check that its folder exists, its permissions and the disk.',
      cause,
    });
  }
}

/** A device or a pipe would be gone for everybody who uses it. @throws RelaymintError STORAGE_FAILED. */
async function assertFileOrNothing(file: string): Promise<void> {
  const found = await lstat(file).catch(() => undefined);
  if (found === undefined || found.isFile() || found.isSymbolicLink()) return;
  throw new RelaymintError('STORAGE_FAILED', `${file} is no file that could be replaced.`, {
    remedy: found.isDirectory() ? 'Name a file in that folder.' : 'Name another file.',
  });
}

/** undefined when there is no such file. `ensureFits` throws when it is too long. @throws RelaymintError STORAGE_FAILED. */
export async function readWhole(
  file: string,
  ensureFits: (bytes: number) => void = () => {},
): Promise<Buffer | undefined> {
  try {
    ensureFits((await stat(file)).size);
    return await readFile(file);
  } catch (cause) {
    if (hasErrno(cause, 'ENOENT')) return undefined;
    if (isRelaymintError(cause)) throw cause;
    throw new RelaymintError('STORAGE_FAILED', `${file} cannot be read: ${messageOf(cause)}.`, {
      remedy: 'Check its permissions and the disk.',
      cause,
    });
  }
}
