/** A file that somebody else writes again and again, as lines of which each is all that it said at a time. */
import { open } from 'node:fs/promises';
import { elapsed } from '../../core/abort.ts';
import { MAX_ENTRY_CONTENT_BYTES } from '../../core/limits.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { hasErrno } from '../../platform/errno.ts';

/** How often it is looked at, milliseconds: no file system tells of changes in every way in which files are written. */
const LOOK_MILLIS = 200;
/** What is read of it: spaces of a file that people read do not count. */
const MAX_READ_BYTES = 8 * MAX_ENTRY_CONTENT_BYTES;

interface Seen {
  /** Differs when the file was written or replaced. */
  readonly stamp: string;
  readonly content: Buffer;
}

/**
 * What is in it now, and again whenever it changes, each as one line of JSON; what is none is told as it stands. A file that is not there is waited for.
 * Ends with the signal. @throws RelaymintError STORAGE_FAILED and others when it cannot be read.
 */
export async function* watchedLines(
  file: string,
  signal: AbortSignal,
  /** Until the next look; false: it is over. */
  rest: () => Promise<boolean> = () => elapsed(LOOK_MILLIS, signal),
): AsyncGenerator<Uint8Array> {
  let told: string | undefined;
  let doubtful: string | undefined;
  do {
    const seen = await lookAt(file, told);
    if (seen === undefined) continue;
    const line = compact(seen.content);
    // It may be half written: it is looked at once more.
    if (line === undefined && seen.stamp !== doubtful) {
      doubtful = seen.stamp;
      continue;
    }
    told = seen.stamp;
    yield Buffer.from(`${line ?? seen.content.toString().replaceAll(/\r?\n/g, ' ')}\n`);
  } while (await rest());
}

/** undefined: it is not there, has nothing in it, or is what was told last. */
async function lookAt(file: string, told: string | undefined): Promise<Seen | undefined> {
  try {
    await using handle = await open(file);
    const { dev, ino, size, mtimeNs } = await handle.stat({ bigint: true });
    const stamp = `${dev} ${ino} ${size} ${mtimeNs}`;
    if (size === 0n || stamp === told) return undefined;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_READ_BYTES), 0, MAX_READ_BYTES, 0);
    return { stamp, content: buffer.subarray(0, bytesRead) };
  } catch (cause) {
    if (hasErrno(cause, 'ENOENT')) return undefined;
    throw diskError(cause, `Reading ${file}`);
  }
}

/** On one line; undefined: it is no JSON. What it says is not touched, so that no digit of a number is lost. */
function compact(content: Buffer): string | undefined {
  const text = content.toString();
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  // Strings have no line breaks of their own.
  return text.trim().replaceAll(/[\r\n]+[ \t]*/g, '');
}
