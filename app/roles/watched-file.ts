/** A file that somebody else writes again and again, as lines of which each is all that it said at a time. */
import { isUtf8 } from 'node:buffer';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { elapsed } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
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
 * Ends with the signal. @throws RelaymintError INVALID_ARGUMENT (it is no file), STORAGE_FAILED.
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
    yield Buffer.from(`${line ?? asItStands(seen.content)}\n`);
  } while (await rest());
}

/** undefined: it is not there, has nothing in it, or is what was told last. */
async function lookAt(file: string, told: string | undefined): Promise<Seen | undefined> {
  try {
    // A pipe that nobody writes into would hold up more than this.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const state = await handle.stat({ bigint: true });
    if (!state.isFile()) throw noFile(file);
    const { dev, ino, size, mtimeNs } = state;
    const stamp = `${dev} ${ino} ${size} ${mtimeNs}`;
    if (size === 0n || stamp === told) return undefined;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_READ_BYTES), 0, MAX_READ_BYTES, 0);
    return { stamp, content: buffer.subarray(0, bytesRead) };
  } catch (cause) {
    // While it is replaced, on whatever it lies.
    if (hasErrno(cause, 'ENOENT', 'EACCES', 'EPERM')) return undefined;
    throw diskError(cause, `Reading ${file}`);
  }
}

/** Whether there is such a file now. @throws RelaymintError INVALID_ARGUMENT when it is something else; STORAGE_FAILED when it must not be read. */
export async function isThere(file: string): Promise<boolean> {
  try {
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await handle.stat()).isFile()) throw noFile(file);
    return true;
  } catch (cause) {
    if (hasErrno(cause, 'ENOENT')) return false;
    throw diskError(cause, `Reading ${file}`);
  }
}

function noFile(file: string): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `${file} is no file.`, {
    remedy: 'Name a file that somebody writes; "-" takes what a program prints.',
  });
}

/** On one line, for whoever says what is wrong with it. */
function asItStands(content: Buffer): string {
  return isUtf8(content) ? content.toString().replaceAll(/\r?\n/g, ' ') : 'bytes that are no text';
}

/** On one line; undefined: it is no JSON. What it says is not touched, so that no digit of a number is lost. */
function compact(content: Buffer): string | undefined {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content);
    JSON.parse(text);
  } catch {
    return undefined;
  }
  // Strings have no line breaks of their own.
  return text.trim().replaceAll(/[\r\n]+[ \t]*/g, '');
}
