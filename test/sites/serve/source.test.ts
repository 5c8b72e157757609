import { createHash, randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { RelaymintError } from '../../../core/errors.ts';
import type { NodeId } from '../../../core/ids.ts';
import { createContentSource, type ContentSourceOptions } from '../../../sites/serve/index.ts';
import { follow, importSite, openNode, readFile } from '../../../sites/unixfs/index.ts';
import type { ServiceHandler } from '../../../sites/blocks/index.ts';
import { createMemoryCache, type BlockCache } from '../../../sites/cache/index.ts';
import { encodeAnswerHeader, readRequest } from '../../../sites/serve/protocol.ts';
import { ByteReader } from '../../../sites/wire/index.ts';
import { Cleanup, keepTree, startHost, temporaryFolder, writeTree } from '../kit.ts';
import type { TestHost } from '../kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const big = randomBytes(6_000_000);

async function fill(host: TestHost): Promise<CID> {
  const folder = await temporaryFolder(cleanup);
  await writeTree(folder, { 'index.html': 'front', 'big.bin': big });
  return (await importSite(host.store, 'demo.web3', folder)).root;
}

/** A source over these hosts in order of preference. */
function sourceOver(
  hosts: readonly TestHost[],
  more: Partial<ContentSourceOptions> = {},
): {
  source: ReturnType<typeof createContentSource>;
  bad: [NodeId, string][];
  routes: NodeId[];
} {
  const bad: [NodeId, string][] = [];
  const routes: NodeId[] = [];
  const source = createContentSource({
    waitMillis: 60_000,
    ...more,
    onBadHost: (host, error) => bad.push([host, error.code]),
    route: async (_site, { avoid }) => {
      const host = hosts.find(({ id }) => !avoid.has(id));
      if (host === undefined) throw new RelaymintError('NO_ROUTE', 'No host is left.');
      routes.push(host.id);
      return await Promise.resolve(host.route);
    },
  });
  cleanup.add(() => source.close());
  return { source, bad, routes };
}

async function readBig(source: ReturnType<typeof createContentSource>, root: CID): Promise<Buffer> {
  const content = await source.open({ name: 'demo.web3', root }, { signal: new AbortController().signal });
  try {
    const trail = await follow(content, root, ['big.bin']);
    const node = trail && (await openNode(content, trail.cid));
    if (node?.type !== 'file') throw new Error('not a file');
    const chunks: Uint8Array[] = [];
    for await (const chunk of readFile(content, node)) chunks.push(chunk);
    return Buffer.concat(chunks);
  } finally {
    content.close();
  }
}

/** Answers the first `honest` requests from the store of another host, then misbehaves. */
function liar(from: TestHost, honest: number, lie: 'flip' | 'silence' | 'reset' | 'missing'): ServiceHandler {
  return (stream) => {
    stream.on('error', () => undefined);
    const reader = new ByteReader(stream);
    const run = async (): Promise<void> => {
      for (let served = 0; ; served += 1) {
        const request = await readRequest(reader);
        if (request === undefined) return;
        const block = Uint8Array.from(await from.store.get(request.cid));
        if (served >= honest) {
          if (lie === 'silence') return;
          if (lie === 'reset') {
            stream.destroy();
            return;
          }
          if (lie === 'missing') {
            stream.write(encodeAnswerHeader(request.id, 1, 0));
            continue;
          }
          block[0] = (block[0] ?? 0) ^ 1;
        }
        stream.write(encodeAnswerHeader(request.id, 0, block.length));
        stream.write(block);
      }
    };
    run().catch(() => undefined);
  };
}

/** A file whose bytes stand in the block that is asked for, as tools of before made them, in a folder. */
async function oldFile(host: TestHost, bytes: Uint8Array): Promise<{ root: CID; file: CID }> {
  const blockOf = (
    node: UnixFS,
    links: { Hash: CID; Name: string; Tsize: number }[],
  ): { cid: CID; block: Uint8Array } => {
    const block = dagPb.encode(dagPb.prepare({ Data: node.marshal(), Links: links }));
    const digest = Digest.create(0x12, Uint8Array.from(createHash('sha256').update(block).digest()));
    return { cid: CID.createV1(dagPb.code, digest), block };
  };
  const file = blockOf(new UnixFS({ type: 'file', data: bytes }), []);
  const folder = blockOf(new UnixFS({ type: 'directory' }), [
    { Hash: file.cid, Name: 'big.bin', Tsize: file.block.length },
  ]);
  await using session = host.store.begin();
  for (const { cid, block } of [file, folder]) await session.put(cid, block);
  await session.pin('demo.web3', folder.cid);
  return { root: folder.cid, file: file.cid };
}

describe('content that is shown to others', () => {
  /** How many bytes of blocks came out of the cache. */
  const looks = async (
    shares: () => boolean,
    cache: BlockCache,
  ): Promise<{ cachedBytes: () => number; look: () => Promise<void> }> => {
    const host = await startHost(cleanup);
    const bytes = randomBytes(100_000);
    const { root } = await oldFile(host, bytes);
    let cached = 0;
    const { source } = sourceOver([host], { shares, cache, onCached: (_site, length) => (cached += length) });
    return {
      cachedBytes: () => cached,
      look: async () => {
        if (!(await readBig(source, root)).equals(bytes)) throw new Error('something else came');
      },
    };
  };

  it('is none that is owed, however it is packed: only what leads to it is', async () => {
    const { cachedBytes, look } = await looks(() => false, createMemoryCache({ leaves: true }));
    await look();
    await look();
    await Promise.all([look(), look(), look()]);
    // The folder, four times.
    expect(cachedBytes()).toBeGreaterThan(0);
    expect(cachedBytes()).toBeLessThan(1_000);
  });

  it('is none any more from when its owner asks for something, though it is kept', async () => {
    let isFree = true;
    const { cachedBytes, look } = await looks(() => isFree, createMemoryCache({ leaves: true }));
    await look();
    await look();
    expect(cachedBytes()).toBeGreaterThan(100_000);
    isFree = false;
    const before = cachedBytes();
    await look();
    expect(cachedBytes() - before).toBeLessThan(1_000);
  });
});

describe('content source', () => {
  it('reads a file, uses a stream again, and asks for directories once', async () => {
    const host = await startHost(cleanup);
    const root = await fill(host);
    const { source, routes } = sourceOver([host]);
    expect((await readBig(source, root)).equals(big)).toBe(true);
    expect((await readBig(source, root)).equals(big)).toBe(true);
    expect(routes).toHaveLength(1);
    expect(host.streams).toHaveLength(1);
    await Promise.all([readBig(source, root), readBig(source, root), readBig(source, root)]);
    expect(routes).toHaveLength(1);
    expect(host.streams.length).toBeLessThanOrEqual(3);
  });

  it.each([
    ['flip', 'CONTENT_CORRUPT'],
    ['missing', 'CONTENT_NOT_FOUND'],
    ['silence', 'TIMEOUT'],
  ] as const)('goes on with another host in the middle of a file: %s', async (lie, code) => {
    const honest = await startHost(cleanup);
    const root = await fill(honest);
    const bad = await startHost(cleanup, { content: liar(honest, 4, lie) });
    const { source, bad: reported } = sourceOver([bad, honest], lie === 'silence' ? { waitMillis: 3_000 } : {});
    expect((await readBig(source, root)).equals(big)).toBe(true);
    expect(reported).toEqual([[bad.id, code]]);
  });

  it('opens the stream again when only the stream broke', async () => {
    const honest = await startHost(cleanup);
    const root = await fill(honest);
    const flaky = await startHost(cleanup, { content: liar(honest, 4, 'reset') });
    const { source, bad } = sourceOver([flaky]);
    expect((await readBig(source, root)).equals(big)).toBe(true);
    expect(bad).toEqual([]);
    expect(flaky.streams.length).toBeGreaterThan(1);
  });

  it('tells what the last host did when there is no other, and tries again for the next visitor', async () => {
    const honest = await startHost(cleanup);
    const root = await fill(honest);
    let broken = true;
    const lying = liar(honest, 0, 'flip');
    const telling = liar(honest, 1000, 'flip');
    const host = await startHost(cleanup, {
      content: (stream, params) => (broken ? lying : telling)(stream, params),
    });
    const { source } = sourceOver([host]);
    await expect(readBig(source, root)).rejects.toMatchObject({ code: 'CONTENT_CORRUPT' });
    broken = false;
    expect((await readBig(source, root)).equals(big)).toBe(true);
  });

  it('blames no host for content that the name no longer points to, and finds one that has it', async () => {
    const [newer, older] = [await startHost(cleanup), await startHost(cleanup)];
    const now = await keepTree(cleanup, newer.store, 'demo.web3', { 'index.html': 'the second', 'big.bin': 'small' });
    const before = await fill(older);
    const { source, bad, routes } = sourceOver([newer, older], { rootOf: async () => Promise.resolve(now) });
    expect((await readBig(source, before)).equals(big)).toBe(true);
    expect((await readBig(source, now)).toString()).toBe('small');
    expect([bad, new Set(routes)]).toEqual([[], new Set([newer.id, older.id])]);
    await older.store.unpin('demo.web3', before);
    const told = { code: 'CONTENT_NOT_FOUND', message: expect.stringContaining('published anew') as string };
    await expect(readBig(source, before)).rejects.toMatchObject(told);
    expect((await readBig(source, now)).toString()).toBe('small');
    expect(bad).toEqual([[older.id, 'CONTENT_REFUSED']]);
  });

  it('blames a host that lacks what the name points to, whatever the ledger says about it', async () => {
    const [empty, full] = [await startHost(cleanup), await startHost(cleanup)];
    await keepTree(cleanup, empty.store, 'demo.web3', { 'index.html': 'something else' });
    const root = await fill(full);
    for (const rootOf of [() => Promise.resolve(root), () => Promise.reject(new Error('down'))]) {
      const { source, bad } = sourceOver([empty, full], { rootOf });
      expect((await readBig(source, root)).equals(big)).toBe(true);
      expect(bad).toEqual([[empty.id, 'CONTENT_NOT_FOUND']]);
    }
  });

  it('drops the stream of a visitor who leaves in the middle', async () => {
    const host = await startHost(cleanup);
    const root = await fill(host);
    const { source } = sourceOver([host]);
    const leaving = new AbortController();
    const content = await source.open({ name: 'demo.web3', root }, { signal: leaving.signal });
    const trail = await follow(content, root, ['big.bin']);
    const node = trail && (await openNode(content, trail.cid));
    if (node?.type !== 'file') throw new Error('not a file');
    const chunks = readFile(content, node);
    await chunks.next();
    const [stream] = host.streams;
    const closed = new Promise((resolve) => stream?.once('close', resolve));
    leaving.abort();
    await expect(
      chunks
        .next()
        .then(() => chunks.next())
        .then(() => chunks.next())
        .then(() => chunks.next()),
    ).rejects.toMatchObject({ code: 'ABORTED' });
    content.close();
    await closed;
    expect((await readBig(source, root)).equals(big)).toBe(true);
  });

  it('lets those who wait for a folder go on when the visitor who fetches it leaves', async () => {
    const host = await startHost(cleanup);
    const root = await fill(host);
    const { source } = sourceOver([host]);
    let letGo = (): void => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const get = host.store.get.bind(host.store);
    const served = vi.spyOn(host.store, 'get').mockImplementation((cid) => gate.then(() => get(cid)));
    const leaving = new AbortController();
    const staying = new AbortController().signal;
    const first = await source.open({ name: 'demo.web3', root }, { signal: leaving.signal });
    const second = await source.open({ name: 'demo.web3', root }, { signal: staying });
    const third = await source.open({ name: 'demo.web3', root }, { signal: staying });
    const results = [first.get(root), second.get(root), third.get(root)];
    await expect.poll(() => served).toHaveBeenCalledTimes(1);
    leaving.abort();
    await expect(results[0]).rejects.toMatchObject({ code: 'ABORTED' });
    letGo();
    expect(await results[1]).toEqual(await results[2]);
    expect(served).toHaveBeenCalledTimes(2);
    for (const content of [first, second, third]) content.close();
  });

  it('tells all who wait for a folder what the hosts did, after one try of each host', async () => {
    const honest = await startHost(cleanup);
    const root = await fill(honest);
    const bad = await startHost(cleanup, { content: liar(honest, 0, 'flip') });
    const { source, routes } = sourceOver([bad]);
    const content = await source.open({ name: 'demo.web3', root }, { signal: new AbortController().signal });
    const results = await Promise.allSettled([content.get(root), content.get(root), content.get(root)]);
    for (const result of results) expect(result).toMatchObject({ reason: { code: 'CONTENT_CORRUPT' } });
    expect(routes).toEqual([bad.id]);
    content.close();
  });

  it('ends with the gateway', async () => {
    const host = await startHost(cleanup);
    const root = await fill(host);
    const { source } = sourceOver([host]);
    await readBig(source, root);
    await source.close();
    await expect(readBig(source, root)).rejects.toMatchObject({ code: 'CLOSED' });
    expect(host.streams.every((stream) => stream.destroyed)).toBe(true);
  });
});

describe('what was fetched before', () => {
  /** A source with this cache, and how many blocks its host was asked for. */
  async function counted(
    cache?: BlockCache,
  ): Promise<{ readonly source: ReturnType<typeof createContentSource>; readonly root: CID; asked: () => number }> {
    const host = await startHost(cleanup);
    const root = await fill(host);
    let asked = 0;
    const begin = async (): Promise<() => void> => {
      asked += 1;
      return await Promise.resolve(() => undefined);
    };
    const route = { ...host.route, isOpen: true, begin };
    const source = createContentSource({ route: async () => await Promise.resolve(route), ...(cache && { cache }) });
    cleanup.add(() => source.close());
    return { source, root, asked: () => asked };
  }

  it('is not asked for again, nor paid for', async () => {
    const { source, root, asked } = await counted(createMemoryCache({ leaves: true }));
    expect((await readBig(source, root)).equals(big)).toBe(true);
    const first = asked();
    expect(first).toBeGreaterThan(3);
    expect((await readBig(source, root)).equals(big)).toBe(true);
    expect(asked()).toBe(first);
  });

  it('is fetched once for visitors who come at the same time', async () => {
    const alone = await counted(createMemoryCache({ leaves: true }));
    await readBig(alone.source, alone.root);
    const { source, root, asked } = await counted(createMemoryCache({ leaves: true }));
    const both = await Promise.all([readBig(source, root), readBig(source, root)]);
    expect(both.map((body) => body.equals(big))).toEqual([true, true]);
    expect(asked()).toBe(alone.asked());
  });

  it('is paid for by each visitor of a gateway that keeps no content', async () => {
    const { source, root, asked } = await counted(createMemoryCache({ leaves: false }));
    await readBig(source, root);
    const first = asked();
    await readBig(source, root);
    // All but the folder and the tree of the file.
    expect(asked()).toBe(2 * first - 2);
  });
});
