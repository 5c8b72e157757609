/** A file without a name is there for its user, and for nobody else. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openNamelessFile } from '../../../platform/disk/new-file.ts';

it('keeps what is written to it, and is in no folder', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-new-file-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const handle = await openNamelessFile(path.join(folder, 'map'));
  await handle.appendFile('written');
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(16), 0, 16, 0);
  expect(buffer.toString('utf8', 0, bytesRead)).toBe('written');
  expect(await readdir(folder)).toEqual([]);
  await handle.close();
});

it('fails where there is no folder', async () => {
  await expect(openNamelessFile('/no-such-folder/map')).rejects.toMatchObject({ code: 'ENOENT' });
});
