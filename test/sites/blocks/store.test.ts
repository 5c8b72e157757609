import { spawnSync } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { chmod, open, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as dagCbor from '@ipld/dag-cbor';
import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { CID } from 'multiformats/cid';
import { silentLog } from '../../../core/ports.ts';
import { bytes } from '../../../core/units.ts';
import { MAX_MANIFEST_BYTES, ORPHAN_BLOCK_MILLIS } from '../../../core/limits.ts';
import { openBlockStore } from '../../../sites/blocks/index.ts';
import { importPath, importSite } from '../../../sites/unixfs/index.ts';
import {
  Cleanup,
  TestClock,
  blockFile,
  damageBlock,
  keepTree,
  rawBlock,
  temporaryFolder,
  temporaryStore,
  writeTree,
} from '../kit.ts';
import { cborBlock } from '../manifest/kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

/** A folder with one entry. */
function folderOf(cid: CID): { readonly cid: CID; readonly block: Uint8Array } {
  const data = new UnixFS({ type: 'directory' }).marshal();
  const block = dagPb.encode(dagPb.prepare({ Data: data, Links: [{ Name: 'a', Hash: cid, Tsize: 1 }] }));
  return { cid: CID.createV1(dagPb.code, rawBlock(block).cid.multihash), block };
}

async function blockFiles(directory: string): Promise<string[]> {
  const found = await readdir(join(directory, 'blocks'), { recursive: true });
  return found.filter((file) => !file.startsWith('.partial') && file.endsWith('.data'));
}

describe('block store', () => {
  it('keeps blocks and pins over a restart, and one process at a time', async () => {
    const directory = await temporaryFolder(cleanup);
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, { 'index.html': 'hello', 'a/b.txt': 'deep', 'a/c.txt': 'deep' });
    const store = await openBlockStore({ directory });
    const { pin } = await importSite(store, 'demo.web3', folder);
    expect(pin.blocks).toBe(4);
    await expect(openBlockStore({ directory })).rejects.toMatchObject({ code: 'FILE_IN_USE' });
    const before = store.stats();
    await store.close();
    expect(() => store.has(pin.root)).toThrow('closed');

    const again = await openBlockStore({ directory });
    cleanup.add(() => again.close());
    expect(again.stats()).toEqual(before);
    expect(again.pins()).toEqual([pin]);
    expect(again.pinsWith('demo.web3', pin.root)).toHaveLength(1);
    expect(again.pinsWith('other.web3', pin.root)).toEqual([]);
    expect((await again.get(pin.root)).length).toBeGreaterThan(10);
    let members = 0;
    for await (const cid of again.blocksOf(pin.root)) {
      members += 1;
      expect(again.has(cid)).toBe(true);
    }
    expect(members).toBe(4);
  });

  it('deletes what nothing keeps any more, and only that', async () => {
    const store = await temporaryStore(cleanup);
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, { 'shared.txt': 'both have this', 'one.txt': 'only the first' });
    const one = await importSite(store, 'one.web3', folder);
    await rm(join(folder, 'one.txt'));
    await writeTree(folder, { 'two.txt': 'only the second' });
    const two = await importSite(store, 'two.web3', folder);
    await store.unpin('one.web3', one.root);
    expect(store.has(rawBlock('both have this').cid)).toBe(true);
    expect(store.has(rawBlock('only the second').cid)).toBe(true);
    expect(store.has(rawBlock('only the first').cid)).toBe(false);
    expect(store.has(one.root)).toBe(false);
    await store.unpin('two.web3', two.root);
    expect(store.stats()).toMatchObject({ blocks: 0, bytes: 0 });
    await store.unpin('two.web3', two.root);
  });

  it('keeps a root while one of two names still has it', async () => {
    const store = await temporaryStore(cleanup);
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, { 'a.txt': 'same' });
    const { root } = await importSite(store, 'one.web3', folder);
    await importSite(store, 'two.web3', folder);
    await store.unpin('one.web3', root);
    expect(store.has(root)).toBe(true);
    expect(store.pinsWith('one.web3', root)).toEqual([]);
    expect(store.pinsWith('two.web3', root)).toHaveLength(1);
    await store.unpin('two.web3', root);
    expect(store.has(root)).toBe(false);
  });

  it('tells what one root needs beside another, and which root of a name a block is under', async () => {
    const store = await temporaryStore(cleanup);
    const roots: CID[] = [];
    for (const page of ['the first page', 'another page']) {
      roots.push(await keepTree(cleanup, store, 'one.web3', { 'both.txt': 'both have this', 'page.txt': page }));
    }
    const [first, second] = roots as [CID, CID];
    const folderBytes = (await store.get(first)).length;
    expect(await store.bytesBeside(first, second)).toBe('the first page'.length + folderBytes);
    expect(await store.bytesBeside(first, first)).toBe(0);
    const rootsWith = (text: string): CID[] => store.pinsWith('one.web3', rawBlock(text).cid).map(({ root }) => root);
    expect([rootsWith('both have this'), rootsWith('the first page'), rootsWith('another page')]).toEqual([
      roots,
      [first],
      [second],
    ]);
  });

  it('refuses to pin while blocks are missing, and says how many', async () => {
    const store = await temporaryStore(cleanup);
    const here = rawBlock('here');
    const missing = rawBlock('missing');
    const node = dagPb.encode(
      dagPb.prepare({ Data: new Uint8Array([8, 1]), Links: [link('a', here.cid), link('b', missing.cid)] }),
    );
    const root = CID.createV1(dagPb.code, rawBlock(node).cid.multihash);
    const session = store.begin();
    await session.put(here.cid, here.block);
    await session.put(root, node);
    await expect(session.pin('demo.web3', root)).rejects.toMatchObject({
      code: 'CONTENT_NOT_FOUND',
      details: { missing: 1 },
    });
    expect(store.pins()).toEqual([]);
    await session.put(missing.cid, missing.block);
    expect(await session.pin('demo.web3', root)).toMatchObject({ blocks: 3 });
    await session.close();
  });

  it('keeps a manifest as a root of one block, whatever it links to, and never below a folder', async () => {
    const store = await temporaryStore(cleanup);
    const elsewhere = rawBlock('not here').cid;
    const linking = cborBlock(dagCbor.encode({ link: elsewhere }));
    const [large, folder] = [cborBlock(dagCbor.encode(new Uint8Array(MAX_MANIFEST_BYTES))), folderOf(linking.cid)];
    await using session = store.begin();
    for (const { cid, block } of [linking, large, folder]) await session.put(cid, block);
    expect(await session.pin('demo.web3', linking.cid)).toMatchObject({ blocks: 1, bytes: linking.block.length });
    await expect(session.pin('demo.web3', large.cid)).rejects.toMatchObject({ code: 'CONTENT_REFUSED' });
    await expect(session.pin('demo.web3', folder.cid)).rejects.toMatchObject({ code: 'CONTENT_REFUSED' });
    await expect(session.pin('demo.web3', cborBlock(dagCbor.encode(1)).cid)).rejects.toMatchObject({
      code: 'CONTENT_NOT_FOUND',
    });
    expect(store.pins().map(({ root }) => root.toString())).toEqual([linking.cid.toString()]);
  });

  it('collects what broken imports left after a day, never what a session holds', async () => {
    const clock = new TestClock();
    const directory = await temporaryFolder(cleanup);
    const store = await temporaryStore(cleanup, { clock, directory });
    const session = store.begin();
    const held = rawBlock('held');
    await session.put(held.cid, held.block);
    const broken = store.begin();
    const left = rawBlock('left');
    await broken.put(left.cid, left.block);
    await broken.close();
    expect(await store.collectGarbage()).toMatchObject({ blocks: 0 });
    clock.advance(ORPHAN_BLOCK_MILLIS + 1);
    expect(await store.collectGarbage()).toMatchObject({ blocks: 1, bytes: 4 });
    expect(store.has(left.cid)).toBe(false);
    expect(await session.hold(held.cid)).toBe(true);
    expect(await session.hold(left.cid)).toBe(false);
    await session.close();
    expect(await store.collectGarbage(0)).toMatchObject({ blocks: 1 });
    expect(await blockFiles(directory)).toEqual([]);
  });

  it('imports and deletes the same blocks at once without losing any', async () => {
    const store = await temporaryStore(cleanup);
    const folder = await temporaryFolder(cleanup);
    await writeTree(
      folder,
      Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${i}.txt`, `the content of file ${i}`])),
    );
    const { root } = await importSite(store, 'a.web3', folder);
    for (let round = 0; round < 15; round += 1) {
      const name = round % 2 === 0 ? 'a.web3' : 'b.web3';
      const next = round % 2 === 0 ? 'b.web3' : 'a.web3';
      await Promise.all([
        store.unpin(name, root),
        importSite(store, next, folder),
        store.collectGarbage(0),
        importPath(folder, { put: () => Promise.resolve() }),
      ]);
      for await (const cid of store.blocksOf(root)) await store.get(cid);
      expect(store.pins(next)).toHaveLength(1);
    }
  });

  it('stops at its quota with nothing half-written visible', async () => {
    const directory = await temporaryFolder(cleanup);
    const store = await temporaryStore(cleanup, { directory, quota: bytes(3000) });
    const session = store.begin();
    const blocks = Array.from({ length: 5 }, (_, i) => rawBlock(new Uint8Array(1000).fill(i)));
    const results = await Promise.allSettled(blocks.map(({ cid, block }) => session.put(cid, block)));
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(2);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'STORAGE_FULL' } });
    expect(store.stats()).toMatchObject({ blocks: 3, bytes: 3000, quota: 3000 });
    expect(await blockFiles(directory)).toHaveLength(3);
    await session.close();
  });

  it('says which folder to delete when its records are damaged; the blocks are still there then', async () => {
    const directory = await temporaryFolder(cleanup);
    const { cid, block } = rawBlock('kept');
    const first = await temporaryStore(cleanup, { directory });
    const session = first.begin();
    await session.put(cid, block);
    await session.pin('demo.web3', cid);
    await session.close();
    await first.close();
    const records = join(directory, 'records');
    await writeFile(join(records, 'CURRENT'), 'nonsense');
    await expect(openBlockStore({ directory })).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      message: expect.stringContaining(`The records of the block store in ${records} cannot be read.`),
    });
    await rm(records, { recursive: true });
    const next = await temporaryStore(cleanup, { directory });
    const again = next.begin();
    await again.put(cid, block);
    await again.pin('demo.web3', cid);
    await again.close();
    expect(await next.get(cid)).toEqual(Buffer.from(block));
  });

  it('says that the disk is full, and goes on when there is room again', async (context) => {
    const directory = await temporaryFolder(cleanup);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', directory]);
    if (mounted.status !== 0) return context.skip('needs the right to mount a small tmpfs');
    cleanup.add(() => spawnSync('umount', ['-l', directory]));
    const store = await temporaryStore(cleanup, { directory });
    const session = store.begin();
    const put = async (from: number): Promise<void> => {
      for (let i = from; i < from + 10; i += 1) {
        const { cid, block } = rawBlock(new Uint8Array(1024 * 1024).fill(i));
        await session.put(cid, block);
      }
    };
    await expect(put(0)).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    const kept = await blockFiles(directory);
    expect(store.stats().blocks).toBe(kept.length);
    expect(await readdir(join(directory, 'blocks', '.partial'))).toEqual([]);
    await session.close();
    await store.collectGarbage(0);
    const small = rawBlock('there is room again');
    const next = store.begin();
    await next.put(small.cid, small.block);
    expect(await store.get(small.cid)).toEqual(Buffer.from(small.block));
    await next.close();
    return undefined;
  });

  it('drops a block that the disk cut short, so that it can be sent again', async () => {
    const directory = await temporaryFolder(cleanup);
    const store = await temporaryStore(cleanup, { directory });
    const { cid, block } = rawBlock('a block that will lose its tail');
    const session = store.begin();
    await session.put(cid, block);
    const [file = ''] = await blockFiles(directory);
    await truncate(join(directory, 'blocks', file), 5);
    await expect(store.get(cid)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    expect(store.has(cid)).toBe(false);
    await session.put(cid, block);
    expect((await store.get(cid)).length).toBe(block.length);
    await session.close();
  });

  it('hands out no block with a changed byte, and takes it again', async () => {
    const directory = await temporaryFolder(cleanup);
    const warned: string[] = [];
    const log = { ...silentLog, warn: (_fields: object, message: string) => warned.push(message) };
    const store = await temporaryStore(cleanup, { directory, log });
    const { cid, block } = rawBlock('a block of which one byte will change');
    await using session = store.begin();
    await session.put(cid, block);
    await damageBlock(directory, cid);
    const reads = await Promise.allSettled([store.get(cid), store.get(cid), store.get(cid)]);
    expect(reads.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect([store.has(cid), store.stats().blocks, store.stats().bytes, warned.length]).toEqual([false, 0, 0, 1]);
    await session.put(cid, block);
    expect(await store.get(cid)).toEqual(Buffer.from(block));
    expect(store.stats()).toMatchObject({ blocks: 1, bytes: block.length });
  });

  it('has all that is missing or cut short in one import, and says so when only some of it came', async () => {
    const directory = await temporaryFolder(cleanup);
    const folder = await temporaryFolder(cleanup);
    const texts = Array.from({ length: 20 }, (_none, number) => `the text of file ${number}`);
    await writeTree(folder, Object.fromEntries(texts.map((text, number) => [`${number}.txt`, text])));
    const store = await temporaryStore(cleanup, { directory });
    const { root, pin } = await importSite(store, 'demo.web3', folder);
    for (const text of texts.slice(0, 5)) await rm(blockFile(directory, rawBlock(text).cid));
    for (const text of texts.slice(5, 10)) await truncate(blockFile(directory, rawBlock(text).cid), 3);
    {
      await using session = store.begin();
      const held = await Promise.all(texts.map((text) => session.hold(rawBlock(text).cid)));
      expect(held.filter((here) => here)).toHaveLength(10);
      await session.put(rawBlock(texts[0] ?? '').cid, rawBlock(texts[0] ?? '').block);
      await expect(session.pin('demo.web3', root)).rejects.toMatchObject({
        code: 'CONTENT_NOT_FOUND',
        details: { missing: 9 },
      });
    }
    expect(store.pins('demo.web3')).toHaveLength(1);
    expect((await importSite(store, 'demo.web3', folder)).pin.blocks).toBe(pin.blocks);
    for await (const cid of store.blocksOf(root)) expect((await store.get(cid)).length).toBeGreaterThan(0);
    expect(store.stats()).toMatchObject({ blocks: pin.blocks, bytes: pin.bytes });
  });

  it('reads the blocks of a kept root when others were damaged, until it is kept again', async () => {
    const directory = await temporaryFolder(cleanup);
    const folder = await temporaryFolder(cleanup);
    const [first, second, third] = ['the first', 'the second', 'the third'].map((text) => rawBlock(text).cid);
    await writeTree(folder, { 'a.txt': 'the first', 'b.txt': 'the second', 'c.txt': 'the third' });
    const store = await temporaryStore(cleanup, { directory });
    const { root } = await importSite(store, 'demo.web3', folder);
    for (const cid of [first, second, third]) await damageBlock(directory, cid ?? root);
    await expect(store.get(first ?? root)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    await importSite(store, 'demo.web3', folder);
    for await (const cid of store.blocksOf(root)) expect((await store.get(cid)).length).toBeGreaterThan(0);
    // Trusted again: its files are there, and no block is read for that.
    await damageBlock(directory, third ?? root);
    await using session = store.begin();
    expect(await session.hold(third ?? root)).toBe(true);
    await expect(store.get(third ?? root)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    // To be kept again without its blocks being looked at is not enough.
    await using other = store.begin();
    await other.put(rawBlock('the third').cid, rawBlock('the third').block);
    await other.pin('demo.web3', root);
    await damageBlock(directory, second ?? root);
    await using last = store.begin();
    expect(await last.hold(second ?? root)).toBe(false);
  });

  it('keeps no root whose blocks a power cut took', async () => {
    const directory = await temporaryFolder(cleanup);
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, { 'a.txt': 'stays', 'b.txt': 'is cut short', 'c.txt': 'is gone' });
    const store = await temporaryStore(cleanup, { directory });
    const first = store.begin();
    const { root } = await importPath(folder, first);
    await first.close();
    const fileOf = (text: string): string => blockFile(directory, rawBlock(text).cid);
    await truncate(fileOf('is cut short'), 0);
    await rm(fileOf('is gone'));
    const session = store.begin();
    await expect(session.pin('demo.web3', root)).rejects.toMatchObject({
      code: 'CONTENT_NOT_FOUND',
      details: { missing: 2 },
    });
    expect(store.pins()).toEqual([]);
    // Now they are known to be missing, so that they are sent again.
    expect(store.has(rawBlock('stays').cid)).toBe(true);
    expect(store.has(rawBlock('is gone').cid)).toBe(false);
    for (const text of ['is cut short', 'is gone']) await session.put(rawBlock(text).cid, rawBlock(text).block);
    expect((await session.pin('demo.web3', root)).blocks).toBe(4);
    await session.close();
  });

  it('brings the blocks of a root to the disk before it keeps the root', async () => {
    const store = await temporaryStore(cleanup);
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, { 'a.txt': 'one', 'b.txt': 'two' });
    const handle = await open(folder, 'r');
    const settled = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'datasync');
    cleanup.add(() => settled.mockRestore());
    await handle.close();
    let kept = 0;
    settled.mockImplementation(async function (this: FileHandle) {
      kept = Math.max(kept, store.pins().length);
      await this.sync();
    });
    await importSite(store, 'demo.web3', folder);
    expect([settled.mock.calls.length, kept, store.pins().length]).toEqual([3, 0, 1]);
    // What a kept root has was brought there before: only the new folder and the new file are.
    await writeTree(folder, { 'c.txt': 'three' });
    await importSite(store, 'other.web3', folder);
    expect(settled).toHaveBeenCalledTimes(5);
  });

  it('removes what a killed writer left', async () => {
    const directory = await temporaryFolder(cleanup);
    const first = await openBlockStore({ directory });
    await first.close();
    await writeFile(join(directory, 'blocks', '.partial', '123-1'), 'half');
    const store = await temporaryStore(cleanup, { directory });
    expect(await readdir(join(directory, 'blocks', '.partial'))).toEqual([]);
    expect(store.stats().blocks).toBe(0);
  });

  it('says that a folder is unusable', async () => {
    const directory = await temporaryFolder(cleanup);
    await writeFile(join(directory, 'blocks'), 'a file where a folder belongs');
    await expect(openBlockStore({ directory })).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await chmod(directory, 0o700);
  });
});

function link(name: string, cid: CID): { Name: string; Hash: CID; Tsize: number } {
  return { Name: name, Hash: cid, Tsize: 1 };
}
