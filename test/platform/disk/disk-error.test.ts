import { expect, it } from 'vitest';
import { diskError, isDiskFull } from '../../../platform/disk/disk-error.ts';

const errno = (code: string): Error => Object.assign(new Error(`${code}: write`), { code });

it.each([
  ['no room', errno('ENOSPC'), true],
  ['a quota', errno('EDQUOT'), true],
  // LevelDB has words only, and the database around it says them in a cause.
  ['LevelDB', new Error('Database failed to open', { cause: new Error('IO error: No space left on device') }), true],
  ['no rights', errno('EACCES'), false],
  ['nothing', undefined, false],
])('a full disk is told apart: %s', (_title, error, full) => {
  expect(isDiskFull(error)).toBe(full);
  expect(diskError(error, 'Writing a block').code).toBe(full ? 'STORAGE_FULL' : 'STORAGE_FAILED');
});

it('says what was being done, and why it failed', () => {
  expect(diskError(errno('EACCES'), 'Reading a block').message).toContain('Reading a block failed (EACCES).');
});
