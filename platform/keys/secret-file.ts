/** Files that hold one secret: complete or absent, mode 0600, and refused if others can read them. */
import { randomBytes } from 'node:crypto';
import { link, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import { makeFolder, syncFolder } from '../disk/folder.ts';
import { hasErrno } from '../errno.ts';

const READABLE_BY_OTHERS = 0o077;

export interface SecretFile {
  readonly path: string;
  /** Its name for people: "node key". */
  readonly what: string;
  /** Creates its folder, mode 0700, if there is none. */
  readonly makesFolder?: true;
}

/**
 * Reads its bytes, which the caller wipes; undefined if there is no such file.
 * @throws RelaymintError KEY_FILE_UNSAFE (others may read it), INVALID_ENCODING (more than `most` bytes), STORAGE_FAILED.
 */
export async function readSecret(secret: SecretFile, most: number): Promise<Buffer | undefined> {
  try {
    const file = await open(secret.path, 'r');
    try {
      const { mode, size } = await file.stat();
      ensurePrivate(secret, mode);
      if (size > most) throw tooLong(secret);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (hasErrno(cause, 'ENOENT')) return undefined;
    throw isRelaymintError(cause) ? cause : storageFailed(secret, cause);
  }
}

/**
 * Creates the file. The caller wipes the content.
 * @throws RelaymintError FILE_EXISTS (never overwritten), STORAGE_FAILED.
 */
export async function createSecret(secret: SecretFile, content: Uint8Array | string): Promise<void> {
  const { path } = secret;
  // Written beside it, synced, and linked into place: link() fails where rename() would overwrite.
  const draft = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    if (secret.makesFolder === true) await makeFolder(dirname(path));
    await written(draft, content);
    try {
      await link(draft, path);
    } catch (cause) {
      throw hasErrno(cause, 'EEXIST') ? taken(secret, cause) : cause;
    } finally {
      await unlink(draft);
    }
    await syncFolder(dirname(path));
  } catch (cause) {
    throw isRelaymintError(cause) ? cause : storageFailed(secret, cause);
  }
}

async function written(draft: string, content: Uint8Array | string): Promise<void> {
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } catch (cause) {
    await unlink(draft);
    throw cause;
  } finally {
    await file.close();
  }
}

/** `mode` is that of the file. @throws RelaymintError KEY_FILE_UNSAFE. */
export function ensurePrivate({ path, what }: SecretFile, mode: number): void {
  // On Windows the mode says nothing about others.
  if (process.platform === 'win32' || (mode & READABLE_BY_OTHERS) === 0) return;
  throw new RelaymintError('KEY_FILE_UNSAFE', `Other users of this machine can read the ${what} ${path}.`, {
    remedy: `Run: chmod 600 ${path}`,
  });
}

function taken({ path, what }: SecretFile, cause: unknown): RelaymintError {
  return new RelaymintError('FILE_EXISTS', `The ${what} ${path} already exists.`, {
    remedy: 'Use it, choose another path, or move it away first. Do not lose it: what the key opens would be lost too.',
    cause,
  });
}

function tooLong({ path, what }: SecretFile): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `${path} is no ${what}: it is too long.`, {
    remedy: 'Check the path.',
  });
}

function storageFailed({ path, what }: SecretFile, cause: unknown): RelaymintError {
  return new RelaymintError('STORAGE_FAILED', `The ${what} ${path} cannot be read or written (${messageOf(cause)}).`, {
    remedy: 'Check the folder, its permissions and the free space.',
    cause,
  });
}
