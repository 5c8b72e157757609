/** Creates folders, and makes their entries durable. */
import { mkdir, open, stat } from 'node:fs/promises';
import path from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import { hasErrno } from '../errno.ts';

/**
 * Creates a folder and its missing parents. It fails on a file system that takes none, where mkdir's own recursion never ends
 * (/proc). @throws RelaymintError STORAGE_FAILED when it or a parent is a file; otherwise what the disk says.
 */
export async function makeFolder(folder: string, mode: number = 0o700): Promise<void> {
  const missing: string[] = [];
  for (let at = path.resolve(folder); !(await isFolder(at)); at = path.dirname(at)) missing.push(at);
  for (const at of missing.toReversed()) {
    await mkdir(at, { mode }).catch((error: unknown) => onFailed(error, at));
  }
}

/** Syncs the entries of a folder to the disk, so that they survive a power cut. @throws what the disk says. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder; it journals folder entries by itself.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Another process may have created it meanwhile. */
async function onFailed(error: unknown, at: string): Promise<void> {
  if (!hasErrno(error, 'EEXIST') || !(await isFolder(at))) throw error;
}

/** False when there is none, yet. @throws as `makeFolder`. */
async function isFolder(at: string): Promise<boolean> {
  try {
    if ((await stat(at)).isDirectory()) return true;
  } catch (error) {
    // Below a file: its turn comes.
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
  throw new RelaymintError('STORAGE_FAILED', `${at} is a file, not a folder.`, {
    remedy: 'Give another folder, or move the file away.',
  });
}
