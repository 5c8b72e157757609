/** Replaces a file as a whole. */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { RelaymintError, messageOf } from '../../core/errors.ts';

/** Readers see the old file or the new one, and after a power cut there is one of them. @throws RelaymintError STORAGE_FAILED. */
export async function replaceFile(file: string, content: Uint8Array): Promise<void> {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new RelaymintError('STORAGE_FAILED', `${file} cannot be written: ${messageOf(cause)}.`, {
      remedy: 'Check that its folder exists, its permissions and the disk.',
      cause,
    });
  }
}
