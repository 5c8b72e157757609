/** Files that must not be there yet. */
import { open, rm } from 'node:fs/promises';

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
