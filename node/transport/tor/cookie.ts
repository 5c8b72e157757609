/**
 * The cookie file of tor's control port. The program that answers there names the file, so nothing about it is trusted: the file
 * must be what tor writes, and no open or read of it may ever block.
 */
import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { RelaymintError, messageOf } from '../../../core/errors.ts';
import { orAborted } from '../../../core/abort.ts';
import { isTorsOwner } from './owner.ts';

const COOKIE_BYTES = 32;
const READABLE_BY_ALL = 0o004;
/** A FIFO or a device that takes the file's place between two looks at it is opened at once, and refused. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY;
const MAX_PATH_SHOWN = 200;

/** The 32 bytes, which the caller wipes. @throws RelaymintError TOR_CONTROL_FAILED, ABORTED, TIMEOUT. */
export function readCookie(file: string, signal: AbortSignal): Promise<Buffer> {
  return orAborted(read(file), signal, "Reading the cookie of tor's control port");
}

async function read(file: string): Promise<Buffer> {
  try {
    // Before it is opened: to open a device may already do something.
    await check(file, await lstat(file));
    await using handle = await open(file, FLAGS);
    await check(file, await handle.stat());
    const cookie = Buffer.alloc(COOKIE_BYTES);
    const { bytesRead } = await handle.read(cookie, 0, COOKIE_BYTES, 0);
    if (bytesRead !== COOKIE_BYTES) throw refused(file, `has ${bytesRead} bytes`);
    return cookie;
  } catch (cause) {
    if (cause instanceof RelaymintError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw failed(file, `cannot be read (${code ?? messageOf(cause)})`, 'Run as a user who may read that file.', cause);
  }
}

async function check(file: string, stats: Stats): Promise<void> {
  if (!stats.isFile()) throw refused(file, 'is no regular file');
  if (stats.size !== COOKIE_BYTES) throw refused(file, `has ${stats.size} bytes`);
  if (!(await isTorsOwner(stats.uid))) {
    throw refused(file, `belongs to user ${stats.uid}, who is neither root nor you nor tor`);
  }
  // Knowing its content would prove nothing.
  if ((stats.mode & READABLE_BY_ALL) !== 0) throw refused(file, 'may be read by everybody on this machine');
}

function refused(file: string, why: string): RelaymintError {
  return failed(file, why, 'Check which program has that port.');
}

/** The name comes from the program that answered: it is shown without control characters. */
function failed(file: string, why: string, remedy: string, cause?: unknown): RelaymintError {
  const shown = JSON.stringify(file.slice(0, MAX_PATH_SHOWN)).replace(/[^\x20-\x7e]/g, '?');
  return new RelaymintError('TOR_CONTROL_FAILED', `Tor cannot be controlled: its cookie ${shown} ${why}.`, {
    remedy,
    cause,
  });
}
