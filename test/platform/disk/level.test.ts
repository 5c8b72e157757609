import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DatabaseLocked, inUse, openDatabase } from '../../../platform/disk/level.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'level-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('keeps bytes under texts', async () => {
  const first = await openDatabase(folder);
  await first.put('key', Uint8Array.of(1, 2));
  await first.close();
  const again = await openDatabase(folder);
  expect(Array.from((await again.get('key')) ?? [])).toEqual([1, 2]);
  await again.close();
});

it('says that it is open elsewhere, and tells that from any other failure', async () => {
  const first = await openDatabase(folder);
  const locked: unknown = await openDatabase(folder).catch((error: unknown) => error);
  expect(locked).toBeInstanceOf(DatabaseLocked);
  expect(inUse('The ledger is', locked)).toMatchObject({ code: 'FILE_IN_USE', cause: locked });
  await first.close();
  const file = path.join(folder, 'file');
  await writeFile(file, '');
  const failed: unknown = await openDatabase(path.join(file, 'below')).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(Error);
  expect(failed).not.toBeInstanceOf(DatabaseLocked);
});
