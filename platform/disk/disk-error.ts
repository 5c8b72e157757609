/** Errors for failures of the disk. */
import { isRelaymintError, RelaymintError } from '../../core/errors.ts';
import { hasErrno } from '../errno.ts';

/** True if no room is left, or none that this user may use. LevelDB only says so in text, and in the cause of its error. */
export function isDiskFull(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (hasErrno(at, 'ENOSPC', 'EDQUOT') || /no space|ENOSPC|EDQUOT|disk quota/i.test(at.message)) return true;
  }
  return false;
}

/** STORAGE_FULL or STORAGE_FAILED; what is ours already says itself what is wrong. `doing` begins a sentence: "Writing a block". */
export function diskError(cause: unknown, doing: string): RelaymintError {
  if (isRelaymintError(cause)) return cause;
  if (isDiskFull(cause)) {
    return new RelaymintError('STORAGE_FULL', `The disk is full: ${doing} failed; nothing was kept of it.`, {
      remedy: 'Free some space and try again.',
      cause,
    });
  }
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
  return new RelaymintError('STORAGE_FAILED', `${doing} failed (${code}).`, {
    remedy: 'Check the permissions and the health of the disk.',
    cause,
  });
}
