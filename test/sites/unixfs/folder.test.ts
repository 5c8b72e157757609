/** Which files of a folder are published, when some of them are odd. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { importPath } from '../../../sites/unixfs/index.ts';
import { Cleanup, temporaryFolder } from '../kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

it('one file whose name is not UTF-8 is left out and said, and the rest is published', async () => {
  const folder = await temporaryFolder(cleanup);
  await mkdir(join(folder, 'b'));
  await writeFile(join(folder, 'a.txt'), 'a');
  await writeFile(join(folder, 'b', 'é.txt'), 'e');
  await writeFile(Buffer.concat([Buffer.from(`${folder}/b/caf`), Buffer.from([0xe9])]), 'latin');
  const { files, skipped } = await importPath(folder, { put: async () => {} });
  expect(files).toBe(2);
  expect(skipped).toEqual([{ path: 'b/caf\ufffd', reason: 'a name that is not UTF-8' }]);
});
