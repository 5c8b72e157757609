import { spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { chmod, chown, mkdir, open, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { CID } from 'multiformats/cid';
import { follow, importPath, importSite, listFiles, openNode, readFile } from '../../../sites/unixfs/index.ts';
import type { BlockSink } from '../../../sites/blocks/index.ts';
import { Cleanup, temporaryFolder, temporaryStore, writeTree } from '../kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

/** The user that owns nothing. */
const NOBODY = 65_534;
/** Takes blocks and forgets them. */
const nowhere: BlockSink = { put: () => Promise.resolve() };

describe('import', () => {
  it('gives the roots that kubo gives', async () => {
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, { 'hello.txt': 'hello world' });
    await mkdir(join(folder, 'empty'));
    const cids: string[] = [];
    await importPath(folder, {
      put: (cid) => {
        cids.push(cid.toString());
        return Promise.resolve();
      },
    });
    // `ipfs add --cid-version=1 --raw-leaves` of an empty folder, and of "hello world" without a newline.
    expect(cids).toContain('bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354');
    expect(cids).toContain('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e');
  });

  it('depends on names and contents only', async () => {
    const files = { 'b/z.txt': 'z', 'a.txt': 'a', 'b/a/deep.txt': 'deep', 'c.txt': 'a' };
    const roots = new Set<string>();
    for (const order of [Object.entries(files), Object.entries(files).toReversed()]) {
      const folder = await temporaryFolder(cleanup);
      for (const [path, content] of order) await writeTree(folder, { [path]: content });
      roots.add((await importPath(folder, nowhere)).root.toString());
    }
    expect(roots.size).toBe(1);
  });

  it('takes a single file as a folder of one', async () => {
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, { 'page.html': '<p>hi' });
    const one = await importPath(join(folder, 'page.html'), nowhere);
    expect(one).toMatchObject({ files: 1, bytes: 5, skipped: [] });
    expect(one.root).toEqual((await importPath(folder, nowhere)).root);
  });

  it('reports progress and keeps empty files and folders', async () => {
    const store = await temporaryStore(cleanup);
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, { 'empty.txt': '', 'full.txt': 'full' });
    await mkdir(join(folder, 'hollow'));
    const seen: number[] = [];
    const { root, files, bytes } = await importSite(store, 'demo.web3', folder, {
      onProgress: (progress) => seen.push(progress.bytes),
    });
    expect({ files, bytes }).toEqual({ files: 2, bytes: 4 });
    expect(seen.at(-1)).toBe(4);
    const empty = await node(store, root, 'empty.txt');
    expect(empty).toMatchObject({ type: 'file', size: 0 });
    expect(await node(store, root, 'hollow')).toMatchObject({ type: 'directory' });
    const listed: [string, number][] = [];
    for await (const { segments, file } of listFiles(store, root)) listed.push([segments.join('/'), file.size]);
    expect(listed).toEqual([
      ['empty.txt', 0],
      ['full.txt', 4],
    ]);
    if (empty?.type !== 'file') throw new Error('not a file');
    expect(await readFile(store, empty).next()).toMatchObject({ done: true });
  });

  it('leaves out what does not belong in a site, and says so', async () => {
    const outside = await temporaryFolder(cleanup);
    await writeTree(outside, { 'secret.txt': 'secret' });
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, {
      'page.txt': 'page',
      'sub/deep.txt': 'deep',
      '.env': 'PASSWORD=1',
      '.git/config': 'x',
      '.well-known/x.txt': 'known',
    });
    await symlink(join(outside, 'secret.txt'), join(folder, 'leak.txt'));
    await symlink(outside, join(folder, 'leak'));
    await symlink('nowhere', join(folder, 'dangling'));
    await symlink('page.txt', join(folder, 'same.txt'));
    await symlink('..', join(folder, 'sub', 'loop'));
    const server = createServer().listen(join(folder, 'socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    cleanup.add(() => server.close());
    const summary = await importPath(folder, nowhere);
    expect(summary.files).toBe(4);
    expect(Object.fromEntries(summary.skipped.map(({ path, reason }) => [path, reason]))).toEqual({
      '.env': 'hidden',
      '.git': 'hidden',
      dangling: 'a link to nothing',
      leak: 'a link that leaves the folder',
      'leak.txt': 'a link that leaves the folder',
      socket: 'neither a file nor a folder',
      'sub/loop': 'a link to a folder that contains it',
    });
    expect((await importPath(folder, nowhere, { hidden: true })).files).toBe(6);
  });

  it('refuses nothing, missing paths, and files that it cannot read', async () => {
    const folder = await temporaryFolder(cleanup);
    await expect(importPath(folder, nowhere)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(importPath(join(folder, 'none'), nowhere)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(importPath('/dev/null', nowhere)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await writeTree(folder, { 'locked.txt': 'x' });
    await chmod(join(folder, 'locked.txt'), 0);
    const root = process.getuid?.() === 0;
    if (root) {
      // Root may read everything: be nobody meanwhile.
      await chown(folder, NOBODY, NOBODY);
      process.seteuid?.(NOBODY);
    }
    try {
      await expect(importPath(folder, nowhere)).rejects.toMatchObject({
        code: 'STORAGE_FAILED',
        message: expect.stringMatching(/locked\.txt/) as string,
      });
    } finally {
      if (root) process.seteuid?.(0);
    }
  });

  it('stops when told to', async () => {
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, { 'a.bin': new Uint8Array(4 << 20), 'b.txt': 'b' });
    const stop = new AbortController();
    const importing = importPath(folder, nowhere, { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(importing).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('fails when the sink fails', async () => {
    const folder = await temporaryFolder(cleanup);
    await writeTree(folder, { 'a.txt': 'a' });
    await expect(importPath(folder, { put: () => Promise.reject(new Error('no room')) })).rejects.toThrow('no room');
  });

  it('finds every one of several thousand files, in sharded folders too', async () => {
    const store = await temporaryStore(cleanup);
    const folder = await temporaryFolder(cleanup);
    const names = Array.from({ length: 6000 }, (_, i) => `a-rather-long-file-name-${i}.txt`);
    await writeTree(folder, Object.fromEntries(names.map((name) => [name, `content of ${name}`])));
    const { root, pin } = await importSite(store, 'many.web3', folder);
    expect(pin.blocks).toBeGreaterThan(6000);
    for (const name of ['a-rather-long-file-name-0.txt', 'a-rather-long-file-name-5999.txt', names[1234] ?? '']) {
      const file = await node(store, root, name);
      if (file?.type !== 'file') throw new Error(`${name} was not found`);
      expect(Buffer.from((await readFile(store, file).next()).value ?? []).toString()).toBe(`content of ${name}`);
    }
    expect(await node(store, root, 'not-there.txt')).toBeUndefined();
    const top = await openNode(store, root);
    if (top.type !== 'directory') throw new Error('not a folder');
    const listed: string[] = [];
    for await (const entry of top.entries()) listed.push(entry.name);
    expect(listed.sort()).toEqual(names.sort());
  });

  it('imports and reads back 256 MB with flat memory', async (context) => {
    const folder = await temporaryFolder(cleanup);
    const path = join(folder, 'big.bin');
    const made = spawnSync('sh', ['-c', `head -c 268435456 /dev/urandom > '${path}'`]);
    if (made.status !== 0) return context.skip('needs a shell with head');
    const store = await temporaryStore(cleanup);
    let peak = 0;
    const before = process.memoryUsage().rss;
    const watch = (): void => {
      peak = Math.max(peak, process.memoryUsage().rss - before);
    };
    const { root } = await importSite(store, 'big.web3', folder, { onProgress: watch });
    const file = await node(store, root, 'big.bin');
    if (file?.type !== 'file') throw new Error('not a file');
    expect(file.size).toBe(268_435_456);
    const read = createHash('sha256');
    for await (const chunk of readFile(store, file)) {
      read.update(chunk);
      watch();
    }
    const original = createHash('sha256');
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) original.update(chunk);
    expect(read.digest('hex')).toBe(original.digest('hex'));
    // 4 files x 4 blocks of 1 MiB on the way in, 4 on the way out, and what the collector has not come round to.
    expect(peak / 1024 / 1024).toBeLessThan(160);
    const handle = await open(path);
    const wanted = Buffer.alloc(3_000_000);
    await handle.read(wanted, 0, wanted.length, 123_456_789);
    await handle.close();
    const part: Uint8Array[] = [];
    for await (const chunk of readFile(store, file, { start: 123_456_789, end: 126_456_789 })) part.push(chunk);
    expect(Buffer.concat(part).equals(wanted)).toBe(true);
    return undefined;
  });
});

async function node(
  store: Parameters<typeof follow>[0],
  root: CID,
  ...segments: string[]
): Promise<Awaited<ReturnType<typeof openNode>> | undefined> {
  const trail = await follow(store, root, segments);
  return trail && (await openNode(store, trail.cid));
}
