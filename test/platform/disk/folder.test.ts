import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeFolder } from '../../../platform/disk/folder.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'relaymint-folder-'));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

describe('a folder', () => {
  it('is created with its parents, for us alone, by the first process', async () => {
    const folder = path.join(root, 'a', 'b', 'c');
    await Promise.all(Array.from({ length: 20 }, () => makeFolder(folder)));
    for (const part of ['a', 'a/b', 'a/b/c']) expect((await stat(path.join(root, part))).mode & 0o777).toBe(0o700);
    await makeFolder(folder);
  });

  it('is not created if a file is in its way', async () => {
    const file = path.join(root, 'file');
    await writeFile(file, '');
    const message = `${file} is a file, not a folder. Give another folder, or move the file away.`;
    for (const wanted of [file, path.join(file, 'below'), path.join(file, 'far', 'below')]) {
      await expect(makeFolder(wanted)).rejects.toMatchObject({ code: 'STORAGE_FAILED', message });
    }
    expect((await stat(file)).isFile()).toBe(true);
  });

  it.skipIf(process.platform !== 'linux')('is refused at once if a file system takes no folders', async () => {
    await expect(makeFolder('/proc/relaymint/a')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
