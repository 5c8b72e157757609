/** Files to which lines are added, and that a death in the middle of one leaves readable. */
import { open, type FileHandle } from 'node:fs/promises';
import { RelaymintError, messageOf } from '../../core/errors.ts';
import { hasErrno } from '../errno.ts';

const NEWLINE = 0x0a;

/** Adds lines, and brings them to the disk. The file is made with the first, 0600. @throws what the disk says. */
export async function appendLines(file: string, lines: readonly string[]): Promise<void> {
  const text = joined(lines);
  const handle = await open(file, 'a+', 0o600);
  try {
    // A line that was not written to its end is lost, and no other with it.
    await handle.appendFile((await endsALine(handle)) ? text : `\n${text}`);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/** The lines of the last `maxBytes`, those that were cut off too; none when there is no file. @throws RelaymintError STORAGE_FAILED. */
export async function readLines(file: string, maxBytes: number): Promise<readonly string[]> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      const length = Math.min(size, maxBytes);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
      const content = buffer.toString('utf8', 0, bytesRead);
      return content.split('\n').filter((text) => text !== '');
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (hasErrno(cause, 'ENOENT')) return [];
    throw new RelaymintError('STORAGE_FAILED', `${file} cannot be read: ${messageOf(cause)}.`, {
      remedy: 'Check its permissions and the disk.',
      cause,
    });
  }
}

/** What a file of these lines holds. */
export function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

async function endsALine(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return true;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === NEWLINE;
}
