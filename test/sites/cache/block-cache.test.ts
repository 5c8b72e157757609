import { spawnSync } from 'node:child_process';
import { readFile, readdir, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CID } from 'multiformats/cid';
import * as dagPb from '@ipld/dag-pb';
import { bytes } from '../../../core/units.ts';
import { createMemoryCache, openBlockCache, type BlockCache } from '../../../sites/cache/index.ts';
import { Cleanup, rawBlock, temporaryFolder } from '../kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const SITE = 'demo.web3';
const MIB = 1024 * 1024;

interface Logged {
  readonly warnings: string[];
  readonly log: NonNullable<Parameters<typeof openBlockCache>[0]['log']>;
}

function logged(): Logged {
  const warnings: string[] = [];
  const quiet = (): void => undefined;
  return {
    warnings,
    log: { debug: quiet, info: quiet, error: quiet, warn: (_fields, message) => warnings.push(message) },
  };
}

async function open(
  directory: string,
  limit: number = MIB,
  log?: Logged['log'],
): Promise<BlockCache & { readonly done: () => Promise<void> }> {
  const cache = await openBlockCache({ directory, limit: bytes(limit), ...(log && { log }) });
  let isOver = false;
  const done = async (): Promise<void> => {
    if (!isOver) await cache[Symbol.asyncDispose]();
    isOver = true;
  };
  cleanup.add(done);
  return Object.assign(cache, { done });
}

/** What is found, as plain bytes. */
async function found(cache: BlockCache, cid: CID, site: string = SITE): Promise<Uint8Array | undefined> {
  const block = await cache.get(site, cid);
  return block && Uint8Array.from(block);
}

function blocks(count: number, size: number): { readonly cid: CID; readonly block: Uint8Array }[] {
  return Array.from({ length: count }, (_, index) => rawBlock(new Uint8Array(size).fill(index + 1)));
}

async function files(directory: string): Promise<string[]> {
  const all = await readdir(directory, { recursive: true });
  return all.filter((file) => file.endsWith('.data')).map((file) => join(directory, file));
}

describe('a cache of blocks', () => {
  it('gives a block back, also after a restart', async () => {
    const directory = await temporaryFolder(cleanup);
    const { cid, block } = rawBlock('seen before');
    const cache = await open(directory);
    cache.put(SITE, cid, block);
    expect(await found(cache, cid)).toEqual(block);
    await cache.done();
    const again = await open(directory);
    expect(await found(again, cid)).toEqual(block);
    await again.settled();
    expect(await found(again, cid)).toEqual(block);
  });

  it('tells no site what was fetched for another', async () => {
    const directory = await temporaryFolder(cleanup);
    const { cid, block } = rawBlock('read at news.web3');
    const cache = await open(directory);
    cache.put('news.web3', cid, block);
    await cache.settled();
    expect(await cache.get('spy.web3', cid)).toBeUndefined();
    await cache.done();
    const again = await open(directory);
    expect(await again.get('spy.web3', cid)).toBeUndefined();
    expect(await found(again, cid, 'news.web3')).toEqual(block);
  });

  it('never gives bytes that were changed on disk, and forgets them', async () => {
    const directory = await temporaryFolder(cleanup);
    const [first, second] = blocks(2, 5000);
    const cache = await open(directory);
    cache.put(SITE, first!.cid, first!.block);
    cache.put(SITE, second!.cid, second!.block);
    await cache.done();
    const [path] = await files(directory);
    const content = await readFile(path!);
    content[17] = content[17]! ^ 1;
    await writeFile(path!, content);

    const { warnings, log } = logged();
    const again = await open(directory, MIB, log);
    const here = [await found(again, first!.cid), await found(again, second!.cid)];
    expect(here.filter((block) => block !== undefined)).toHaveLength(1);
    expect(warnings).toEqual(['a block in the cache could not be used and is fetched again']);
    await again.settled();
    expect(await files(directory)).toHaveLength(1);
    const [lost] = [first, second].filter((_, index) => here[index] === undefined);
    again.put(SITE, lost!.cid, lost!.block);
    await again.settled();
    expect(await files(directory)).toHaveLength(2);
  });

  it('takes nothing else for a block that stands where one was: a link, a pipe, a large file', async () => {
    const directory = await temporaryFolder(cleanup);
    const elsewhere = await temporaryFolder(cleanup);
    const all = blocks(3, 5000);
    const cache = await open(directory);
    for (const { cid, block } of all) cache.put(SITE, cid, block);
    await cache.done();
    const [link, pipe, large] = await files(directory);
    await rename(link!, join(elsewhere, 'block'));
    await symlink(join(elsewhere, 'block'), link!);
    await rm(pipe!);
    spawnSync('mkfifo', [pipe!]);
    await truncate(large!, 3 * 1024 * MIB);
    const again = await open(directory, 4 * 1024 * MIB);
    const here = await Promise.all(all.map(({ cid }) => again.get(SITE, cid)));
    expect(here).toEqual([undefined, undefined, undefined]);
    await again.settled();
    for (const { cid, block } of all) again.put(SITE, cid, block);
    await again.done();
    const third = await open(directory);
    const mended = await Promise.all(all.map(async ({ cid }) => (await third.get(SITE, cid))?.length));
    expect(mended).toEqual([5000, 5000, 5000]);
  });

  it('stays below its limit, and lets go of what was used least lately', async () => {
    const directory = await temporaryFolder(cleanup);
    const all = blocks(6, 4096);
    const cache = await open(directory, 5 * 4096);
    for (const { cid, block } of all.slice(0, 5)) cache.put(SITE, cid, block);
    await cache.done();
    // A file system may give them all one time.
    for (const path of await files(directory)) {
      const place = all.findIndex(({ block }) => spawnSync('cmp', ['-s', path, '-'], { input: block }).status === 0);
      await utimes(path, 1_700_000_000 + place, 1_700_000_000 + place);
    }
    const again = await open(directory, 5 * 4096);
    await again.settled();
    expect(await again.get(SITE, all[0]!.cid)).toBeDefined();
    again.put(SITE, all[5]!.cid, all[5]!.block);
    await again.done();
    expect(await files(directory)).toHaveLength(5);
    const third = await open(directory, 5 * 4096);
    const kept = await Promise.all(all.map(async ({ cid }) => (await third.get(SITE, cid)) !== undefined));
    expect(kept).toEqual([true, false, true, true, true, true]);
  });

  it('counts what small files take on the disk', async () => {
    const directory = await temporaryFolder(cleanup);
    const cache = await open(directory, 4 * 4096);
    for (const { cid, block } of blocks(40, 10)) cache.put(SITE, cid, block);
    await cache.settled();
    expect(await files(directory)).toHaveLength(4);
  });

  it('shrinks to a limit that was lowered, and to nothing at 0', async () => {
    const directory = join(await temporaryFolder(cleanup), 'cache');
    const all = blocks(6, 4096);
    const cache = await open(directory);
    for (const { cid, block } of all) cache.put(SITE, cid, block);
    await cache.done();
    const smaller = await open(directory, 2 * 4096);
    await smaller.settled();
    expect(await files(directory)).toHaveLength(2);
    await smaller.done();
    const none = await open(directory, 0);
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOENT' });
    none.put(SITE, all[0]!.cid, all[0]!.block);
    expect(await found(none, all[0]!.cid)).toEqual(all[0]!.block);
    await none.settled();
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('stays below its limit also where somebody left a file of another kind', async () => {
    const directory = await temporaryFolder(cleanup);
    const cache = await open(directory);
    for (const { cid, block } of blocks(6, 4096)) cache.put(SITE, cid, block);
    await cache.done();
    // Before all shards, in the order of names.
    await writeFile(join(directory, '00'), 'what?');
    const again = await open(directory, 2 * 4096);
    await again.settled();
    expect(await files(directory)).toHaveLength(2);
  });

  it('does not keep a block that is larger than all that it may keep', async () => {
    const directory = await temporaryFolder(cleanup);
    const { cid, block } = rawBlock(new Uint8Array(9000));
    const cache = await open(directory, 8192);
    cache.put(SITE, cid, block);
    await cache.settled();
    expect(await files(directory)).toEqual([]);
  });

  it('works on while the disk is full', async (context) => {
    const directory = await temporaryFolder(cleanup);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
    if (mounted.status !== 0) return context.skip('needs the right to mount a small tmpfs');
    cleanup.add(() => spawnSync('umount', ['-l', directory]));
    const { warnings, log } = logged();
    const cache = await open(directory, 64 * MIB, log);
    const all = blocks(20, 100_000);
    for (const { cid, block } of all) {
      cache.put(SITE, cid, block);
      await cache.settled();
    }
    expect(warnings).toEqual(['the cache keeps nothing more for a minute: the disk is full']);
    const here = await Promise.all(all.map(({ cid }) => cache.get(SITE, cid)));
    expect(here.map((block) => block?.[0])).toEqual(all.map(({ block }) => block[0]));
    return undefined;
  });

  it('keeps folders while a film goes through it', async () => {
    const cache = createMemoryCache({ leaves: true });
    const block = dagPb.encode(dagPb.prepare({ Links: [] }));
    const folder = CID.createV1(dagPb.code, rawBlock(block).cid.multihash);
    cache.put(SITE, folder, block);
    for (const piece of blocks(100, MIB)) cache.put(SITE, piece.cid, piece.block);
    expect(await found(cache, folder)).toEqual(block);
    expect(await cache.get(SITE, rawBlock(new Uint8Array(MIB).fill(1)).cid)).toBeUndefined();
    expect(await cache.get(SITE, rawBlock(new Uint8Array(MIB).fill(100)).cid)).toBeDefined();
  });
});
