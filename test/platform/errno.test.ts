import { stat } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { hasErrno } from '../../platform/errno.ts';

it('tells what the system refused from any other failure', async () => {
  const missing: unknown = await stat('/none such').catch((error: unknown) => error);
  expect(hasErrno(missing, 'ENOENT')).toBe(true);
  expect(hasErrno(missing, 'EEXIST', 'ENOENT')).toBe(true);
  expect(hasErrno(missing, 'EEXIST')).toBe(false);
  expect(hasErrno(new Error('ENOENT'), 'ENOENT')).toBe(false);
  expect(hasErrno({ code: 'ENOENT' }, 'ENOENT')).toBe(false);
});
