/** Files that must not be there yet, or are nobody else's. */
import { randomBytes } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';

/** Writes such a file, whole or not at all. @throws the system's error: EEXIST when it is there, ENOSPC .. */
export async function writeNewFile(file: string, content: string | Uint8Array): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    try {
      await handle.writeFile(content);
    } finally {
      await handle.close();
    }
  } catch (error) {
    // It is ours: nobody else could make it.
    await rm(file, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** A file on the disk of `beside` that has no name: nothing stays of it, however its user ends. Close it. @throws the system's error. */
export async function openNamelessFile(beside: string): Promise<FileHandle> {
  const file = path.join(path.dirname(beside), `.${path.basename(beside)}.${randomBytes(6).toString('hex')}`);
  const handle = await open(file, 'wx+', 0o600);
  try {
    await rm(file);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
