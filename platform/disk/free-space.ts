/** How much a disk still takes. */
import { statfs } from 'node:fs/promises';

/** Bytes that this process may still write there; undefined where the system does not say. */
export async function freeSpace(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
