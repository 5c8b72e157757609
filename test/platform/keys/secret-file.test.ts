import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSecret, readSecret } from '../../../platform/keys/secret-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'secret-'));
});
afterEach(() => rm(folder, { recursive: true }));

const what = 'I2P key';

it('is created once, with its folder if asked to, and read back', async () => {
  const inside = path.join(folder, 'inner');
  const secret = { path: path.join(inside, 'key'), what };
  await expect(createSecret(secret, 'x')).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  expect(await readSecret(secret, 10)).toBeUndefined();
  await createSecret({ ...secret, makesFolder: true }, 'first');
  await expect(createSecret(secret, 'second')).rejects.toMatchObject({ code: 'FILE_EXISTS' });
  expect(String(await readSecret(secret, 10))).toBe('first');
  expect((await stat(secret.path)).mode & 0o777).toBe(0o600);
  expect((await stat(inside)).mode & 0o777).toBe(0o700);
  expect(await readdir(inside)).toEqual(['key']);
});

it('is refused when others can read it, when it is too long, and when it is not a file', async () => {
  const secret = { path: path.join(folder, 'key'), what };
  await createSecret(secret, 'first');
  await expect(readSecret(secret, 4)).rejects.toMatchObject({ code: 'INVALID_ENCODING' });
  await chmod(secret.path, 0o604);
  await expect(readSecret(secret, 10)).rejects.toMatchObject({ code: 'KEY_FILE_UNSAFE' });
  await chmod(folder, 0o700);
  await expect(readSecret({ path: folder, what }, 1_000_000)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
});

it('says that a folder cannot be created, not that the key exists', async () => {
  const file = path.join(folder, 'file');
  await writeFile(file, '');
  const secret = { path: path.join(file, 'key'), what, makesFolder: true } as const;
  await expect(createSecret(secret, 'x')).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
});
