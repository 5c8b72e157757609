/** How the books fail: the errors that their users see. */
import { isRelaymintError, messageOf, RelaymintError } from '../../core/errors.ts';
import { isDiskFull } from '../../platform/disk/disk-error.ts';
import { inUse } from '../../platform/disk/level.ts';
import { LevelUnavailable } from './level.ts';

export function closedError(): RelaymintError {
  return new RelaymintError('CLOSED', 'The books are closed.', { remedy: 'Restart the node.' });
}

export function openError(directory: string, cause: unknown): RelaymintError {
  if (isRelaymintError(cause)) return cause;
  if (cause instanceof LevelUnavailable && cause.locked) {
    return inUse(`The books in ${directory} are`, cause);
  }
  if (isDiskFull(cause)) return writeError(directory, cause);
  return new RelaymintError('STORAGE_FAILED', `The books in ${directory} cannot be opened: ${messageOf(cause)}.`, {
    remedy: 'Check the directory, its permissions and the disk.',
    cause,
  });
}

export function writeError(directory: string, cause: unknown): RelaymintError {
  return isDiskFull(cause)
    ? new RelaymintError('STORAGE_FULL', `The disk is full: the books in ${directory} could not be written.`, {
        remedy: 'Free some space: the node then goes on by itself, and nothing that was confirmed is lost.',
        cause,
      })
    : new RelaymintError('STORAGE_FAILED', `The books in ${directory} could not be written: ${messageOf(cause)}.`, {
        remedy: 'Check the disk: the node tries again by itself, and nothing that was confirmed is lost.',
        cause,
      });
}
