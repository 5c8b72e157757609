/** Makes folders, and makes what stands in them last. */
import { mkdir, open, stat } from 'node:fs/promises';
import path from 'node:path';
import { hasErrno } from '../errno.ts';

/**
 * Makes a folder and those above it that are missing. It ends where a file system takes none: mkdir's own recursion goes round for ever
 * there (/proc). @throws what the disk says.
 */
export async function makeFolder(folder: string, mode: number = 0o700): Promise<void> {
  const missing: string[] = [];
  for (let at = path.resolve(folder); !(await isFolder(at)); at = path.dirname(at)) missing.push(at);
  for (const at of missing.toReversed()) {
    await mkdir(at, { mode }).catch((error: unknown) => onFailed(error, at));
  }
}

/** Brings the names in a folder to the disk, where a power cut leaves them. @throws what the disk says. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folder; it writes their entries to its journal by itself.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Somebody else may have made it meanwhile. */
async function onFailed(error: unknown, at: string): Promise<void> {
  if (!hasErrno(error, 'EEXIST') || !(await isFolder(at))) throw error;
}

/** @throws what the disk says, when it says anything but that there is none. */
async function isFolder(at: string): Promise<boolean> {
  try {
    return (await stat(at)).isDirectory();
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
