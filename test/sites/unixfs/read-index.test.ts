/** An import reads what changed, and nothing that did not: the root is the same as that of an import that reads everything. */
import { link, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unixMillis } from '../../../core/units.ts';
import type { BlockStore } from '../../../sites/blocks/index.ts';
import {
  follow,
  importPath,
  importSite,
  type ImportSummary,
  type SiteImportOptions,
} from '../../../sites/unixfs/index.ts';
import { Cleanup, blockFile, damageBlock, rawBlock, temporaryFolder, temporaryStore, writeTree } from '../kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const LARGE = Buffer.alloc(3 * 1024 * 1024 + 5, 'large');
const FILES = 100;

let folder: string;
let store: BlockStore;
let index: NonNullable<SiteImportOptions['index']>;
beforeEach(async () => {
  folder = await temporaryFolder(cleanup);
  store = await temporaryStore(cleanup);
  const small = Array.from({ length: FILES }, (_none, number) => [`many/${number}.txt`, `file ${number}\n`]);
  await writeTree(folder, { ...Object.fromEntries(small), 'large.bin': LARGE, 'empty.txt': '' });
  // Everything was written some time before it is read.
  index = { file: path.join(await temporaryFolder(cleanup), 'read', 'demo.jsonl'), clock: later(10_000) };
});

function later(millis: number): NonNullable<typeof index.clock> {
  return { now: () => unixMillis(Date.now() + millis) };
}

async function imported(options: SiteImportOptions = { index }): Promise<ImportSummary> {
  const summary = await importSite(store, 'demo.web3', folder, options);
  // What somebody who reads everything has.
  expect(summary.root.toString()).toBe((await importPath(folder, { put: async () => {} })).root.toString());
  return summary;
}

describe('a second import', () => {
  it('reads nothing of what did not change', async () => {
    const first = await imported();
    expect(first.readBytes).toBe(first.bytes);
    const second = await imported();
    expect(second).toMatchObject({ readBytes: 0, files: first.files, bytes: first.bytes });
    expect(second.files).toBe(FILES + 2);
  });

  it('reads one changed file of many, and goes on from there', async () => {
    await imported();
    await writeFile(path.join(folder, 'many', '7.txt'), 'changed!');
    expect((await imported()).readBytes).toBe('changed!'.length);
    expect((await imported()).readBytes).toBe(0);
    await rm(path.join(folder, 'many', '8.txt'));
    await writeTree(folder, { 'new/a.txt': 'new' });
    expect((await imported()).readBytes).toBe(3);
  });

  it('sees a changed byte in a file whose size and time of modification are as they were', async () => {
    const file = path.join(folder, 'many', '9.txt');
    const modified = 1_700_000_000;
    await utimes(file, modified, modified);
    const { size } = await stat(file);
    await imported();
    await writeFile(file, 'FILE 9\n');
    await utimes(file, modified, modified);
    expect(await stat(file)).toMatchObject({ size, mtimeMs: modified * 1_000 });
    expect((await imported()).readBytes).toBe(size);
  });

  it('reads a file again that was touched just before it was read', async () => {
    const soon = { index: { ...index, clock: later(-10_000) } };
    const { bytes } = await imported(soon);
    expect((await imported(soon)).readBytes).toBe(bytes);
    expect((await imported()).readBytes).toBe(bytes);
    expect((await imported()).readBytes).toBe(0);
  });

  it('reads everything of another folder', async () => {
    const other = await temporaryFolder(cleanup);
    // The same file: only the folder tells.
    await link(path.join(folder, 'many', '1.txt'), path.join(other, 'one.txt'));
    await link(path.join(folder, 'many', '1.txt'), path.join(folder, 'one.txt'));
    await imported();
    folder = other;
    expect((await imported()).readBytes).toBe('file 1\n'.length);
  });

  it('reads a file again whose blocks the store has lost', async () => {
    await imported();
    await store.close();
    store = await temporaryStore(cleanup);
    const { readBytes, bytes } = await imported();
    expect(readBytes).toBe(bytes);
  });
});

it('the block of a file that the disk lost is written again, and the file is not read for it', async () => {
  const directory = await temporaryFolder(cleanup);
  store = await temporaryStore(cleanup, { directory });
  const { root } = await imported();
  const large = await follow(store, root, ['large.bin']);
  await rm(blockFile(directory, large?.cid ?? root));
  expect((await imported()).readBytes).toBe(0);
  expect(await store.get(large?.cid ?? root)).not.toHaveLength(0);
});

it('leaves that the disk lost or cut short are all there again after one import, which reads their files only', async () => {
  const directory = await temporaryFolder(cleanup);
  store = await temporaryStore(cleanup, { directory });
  await imported();
  for (const number of [3, 5, 7]) await rm(blockFile(directory, rawBlock(`file ${number}\n`).cid));
  await truncate(blockFile(directory, rawBlock('file 9\n').cid), 2);
  expect((await imported()).readBytes).toBe(4 * 'file 3\n'.length);
  for (const number of [3, 5, 7, 9]) expect(await store.get(rawBlock(`file ${number}\n`).cid)).toHaveLength(7);
});

it('damage that is noticed before a new root is kept has everything read again, and mended', async () => {
  const directory = await temporaryFolder(cleanup);
  store = await temporaryStore(cleanup, { directory });
  const { root } = await imported();
  const large = await follow(store, root, ['large.bin']);
  await damageBlock(directory, large?.cid ?? root);
  await damageBlock(directory, rawBlock('file 3\n').cid);
  await writeTree(folder, { 'new.txt': 'new' });
  const { readBytes, bytes } = await imported();
  expect(readBytes).toBe(bytes);
  expect((await imported()).readBytes).toBe(0);
  expect(await store.get(rawBlock('file 3\n').cid)).toHaveLength(7);
});

describe('an index', () => {
  it.each([
    ['a changed byte', (content: Buffer) => Buffer.from(content.toString().replace('bafkrei', 'bafkrej'))],
    ['a torn end', (content: Buffer) => content.subarray(0, content.length - 20)],
    ['no head', (content: Buffer) => content.subarray(content.indexOf('\n') + 1)],
    ['another version', (content: Buffer) => Buffer.from(content.toString().replace('"version":1', '"version":2'))],
    ['nothing in it', () => Buffer.alloc(0)],
    ['garbage', () => Buffer.alloc(1_000, 0xff)],
  ])('with %s is not used, and is replaced', async (_what, damage) => {
    const { bytes } = await imported();
    await writeFile(index.file, damage(await readFile(index.file)));
    expect((await imported()).readBytes).toBe(bytes);
    expect((await imported()).readBytes).toBe(0);
  });

  it('that is missing, or cannot be written, keeps nothing from being imported', async () => {
    const { bytes } = await imported();
    await rm(index.file);
    expect((await imported()).readBytes).toBe(bytes);
    const blocked = { index: { ...index, file: path.join(index.file, 'below', 'a.file') } };
    await expect(importSite(store, 'demo.web3', folder, blocked)).resolves.toMatchObject({ readBytes: bytes });
  });
});

it('a file that grows while it is read is said to have changed, and is read again', async () => {
  let grown: Promise<void> | undefined;
  const file = path.join(folder, 'large.bin');
  const onProgress: SiteImportOptions['onProgress'] = ({ path: at }) => {
    if (at === 'large.bin') grown ??= writeFile(file, 'more', { flag: 'a' });
  };
  const first = await importSite(store, 'demo.web3', folder, { index, onProgress });
  await grown;
  expect(first.changed).toEqual(['large.bin']);
  expect((await imported()).readBytes).toBe(LARGE.length + 4);
});
