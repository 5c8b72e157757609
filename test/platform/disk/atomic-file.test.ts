import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { readWhole, replaceFile, replaceFileBy } from '../../../platform/disk/atomic-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'small-file-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('is replaced as a whole, for its owner alone', async () => {
  const file = path.join(folder, 'state');
  expect(await readWhole(file)).toBeUndefined();
  await replaceFile(file, Buffer.from('one'));
  await replaceFile(file, Buffer.from('two'));
  expect(String(await readWhole(file))).toBe('two');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(['state']);
});

it('is put in the place of no folder and no pipe, and says where the disk is full', async () => {
  const pipe = path.join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  for (const file of [folder, pipe]) {
    await expect(replaceFile(file, Buffer.alloc(1))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  }
  expect((await stat(pipe)).isFIFO()).toBe(true);
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    yield await Promise.reject(full);
  };
  await expect(replaceFileBy(path.join(folder, 'state'), chunks())).rejects.toMatchObject({ code: 'STORAGE_FULL' });
  expect(await readdir(folder)).toEqual(['pipe']);
});

it('is not read when it is too long, nor when it cannot be', async () => {
  const file = path.join(folder, 'state');
  await replaceFile(file, Buffer.alloc(10));
  const ensureFits = (bytes: number): void => {
    if (bytes > 9) throw new RelaymintError('INVALID_ENCODING', `${bytes} bytes are too many.`);
  };
  await expect(readWhole(file, ensureFits)).rejects.toMatchObject({ code: 'INVALID_ENCODING' });
  await expect(readWhole(folder)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  await expect(replaceFile(path.join(folder, 'no', 'such'), Buffer.alloc(1))).rejects.toMatchObject({
    code: 'STORAGE_FAILED',
  });
});
