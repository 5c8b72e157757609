/** Makes folders. */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';

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

/** Somebody else may have made it meanwhile. */
async function onFailed(error: unknown, at: string): Promise<void> {
  if (!hasCode(error, 'EEXIST') || !(await isFolder(at))) throw error;
}

/** @throws what the disk says, when it says anything but that there is none. */
async function isFolder(at: string): Promise<boolean> {
  try {
    return (await stat(at)).isDirectory();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
