/** Lists of a site's blocks, samples of them, and hosts that are asked for those: what a liar may hope for. */
import { CID } from 'multiformats/cid';
import { encode } from '@ipld/dag-cbor';
import * as dagPb from '@ipld/dag-pb';
import * as Digest from 'multiformats/hashes/digest';
import { afterEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { bytes } from '../../../core/units.ts';
import {
  blockKey,
  blockMissing,
  isDirectoryCodec,
  type BlockReader,
  type BlockStore,
} from '../../../sites/blocks/index.ts';
import { bringIn, bringManifest, challenge, listBlocks, sampleOf } from '../../../sites/keeping/index.ts';
import { Chance, SEED_TITLE } from '../../chance.ts';
import { Cleanup, keepTree, rawBlock, temporaryStore } from '../kit.ts';
import { cborBlock } from '../manifest/kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const NAME = 'demo.web3';
const TREE = {
  'index.html': 'front',
  'big.bin': new Uint8Array(2_500_000).map((_, at) => (at * 31) % 251),
  ...Object.fromEntries(Array.from({ length: 40 }, (_none, at) => [`deep/${at % 4}/${at}.txt`, `text ${at}`])),
};
const { signal } = new AbortController();

async function site(): Promise<{ store: BlockStore; root: CID; keys: Set<string> }> {
  const store = await temporaryStore(cleanup);
  const root = await keepTree(cleanup, store, NAME, TREE);
  const keys = new Set<string>();
  for await (const cid of store.blocksOf(root)) keys.add(blockKey(cid));
  return { store, root, keys };
}

/** What it was asked for, and what it pretends not to have. */
function observed(store: BlockReader, lacks: (cid: CID) => boolean = () => false) {
  const asked: CID[] = [];
  const reader: BlockReader = {
    get: (cid, options) => {
      asked.push(cid);
      return lacks(cid) ? Promise.reject(blockMissing(cid)) : store.get(cid, options);
    },
  };
  return { reader, asked };
}

describe('the list of a site', () => {
  it('has each block once, and is made of folders and trees of files alone', async () => {
    const { store, root, keys } = await site();
    const { reader, asked } = observed(store);
    const { blocks, unread } = await listBlocks(reader, root);
    expect(new Set(blocks.map(blockKey))).toEqual(keys);
    expect([blocks.length, unread]).toEqual([keys.size, []]);
    expect(asked.every(isDirectoryCodec)).toBe(true);
    // The root, deep, its four folders, and the file of three blocks.
    expect(asked).toHaveLength(7);
  });

  it('names what nobody has, and goes on with the rest', async () => {
    const { store, root } = await site();
    const folders = (await listBlocks(store, root)).blocks.filter(isDirectoryCodec);
    const gone = folders.at(-1) ?? root;
    const { blocks, unread } = await listBlocks(observed(store, (cid) => cid.equals(gone)).reader, root);
    expect(unread.map(String)).toEqual([gone.toString()]);
    expect(blocks.map(String)).toContain(gone.toString());
    expect(blocks.length).toBeGreaterThan(folders.length);
  });

  it('ends at the limit of what may be fetched for it, and at a DAG that is none', async () => {
    const { store, root } = await site();
    await expect(listBlocks(store, root, { most: bytes(200) })).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    const noise = rawBlock('no UnixFS at all');
    const posing = CID.createV1(dagPb.code, Digest.decode(noise.cid.multihash.bytes));
    const reader: BlockReader = { get: () => Promise.resolve(noise.block) };
    await expect(listBlocks(reader, posing)).rejects.toMatchObject({ code: 'CONTENT_REFUSED' });
  });
});

describe('a sample', () => {
  it('is all there is when that is little, and never has anything twice', () => {
    expect(sampleOf([1, 2, 3], 3)).toEqual([1, 2, 3]);
    expect(sampleOf([], 5)).toEqual([]);
    const drawn = sampleOf(
      Array.from({ length: 1000 }, (_none, at) => at),
      200,
    );
    expect(new Set(drawn).size).toBe(200);
  });

  it(`has each as often as any other (${SEED_TITLE})`, () => {
    const chance = new Chance();
    const all = Array.from({ length: 12 }, (_none, at) => at);
    const times = all.map(() => 0);
    const draws = 6_000;
    for (let draw = 0; draw < draws; draw += 1) {
      for (const one of sampleOf(all, 4, (end) => chance.number(end))) times[one] = (times[one] ?? 0) + 1;
    }
    // Expected 2,000 each; six standard deviations are 220.
    expect(Math.max(...times.map((count) => Math.abs(count - draws / 3)))).toBeLessThan(220);
  });

  it.each([
    [0.02, 30],
    [0.1, 10],
    [0.1, 30],
    [0.5, 5],
  ])(`finds a host that lacks a share of %d with %i samples as often as is said (${SEED_TITLE})`, (share, samples) => {
    const chance = new Chance();
    const all = Array.from({ length: 500 }, (_none, at) => at);
    const trials = 4_000;
    let found = 0;
    for (let trial = 0; trial < trials; trial += 1) {
      const sample = sampleOf(all, samples, (end) => chance.number(end));
      if (sample.some((block) => block < share * all.length)) found += 1;
    }
    const said = 1 - (1 - share) ** samples;
    expect(found / trials).toBeGreaterThan(said - 0.045);
    expect(found / trials).toBeLessThan(said + 0.06);
  });
});

describe('a host that is asked', () => {
  const all = async (host: BlockReader, { store, root }: { store: BlockStore; root: CID }) =>
    challenge({ host, blocks: (await listBlocks(store, root)).blocks, waitMillis: 60_000, signal });

  it('keeps it when it delivers all', async () => {
    const scene = await site();
    const said = await all(scene.store, scene);
    expect(said).toMatchObject({ result: 'keeps', asked: scene.keys.size, delivered: scene.keys.size, missing: 0 });
    expect(said.bytes).toBe(scene.store.pins(NAME)[0]?.bytes);
  });

  it('lacks blocks when it has the folders and dropped what is in the files', async () => {
    const scene = await site();
    const said = await all(observed(scene.store, (cid) => !isDirectoryCodec(cid)).reader, scene);
    expect(said).toMatchObject({ result: 'lacks', delivered: 7, missing: scene.keys.size - 7 });
  });

  it.each(['CONTENT_REFUSED', 'CONTENT_CORRUPT'] as const)('lacks it, and is asked no more, after %s', async (code) => {
    const scene = await site();
    const asked: CID[] = [];
    const host: BlockReader = {
      get: (cid) => {
        asked.push(cid);
        return Promise.reject(new RelaymintError(code, 'No.'));
      },
    };
    expect(await all(host, scene)).toMatchObject({ result: 'lacks', delivered: 0, why: { code } });
    expect(asked.length).toBeLessThan(5);
  });

  it('does not answer when it is too slow for all of them together', async () => {
    const scene = await site();
    let asked = 0;
    const host: BlockReader = {
      get: (cid, options) => {
        asked += 1;
        if (asked <= 3) return scene.store.get(cid);
        return new Promise((_resolve, reject) => {
          options?.signal?.addEventListener('abort', () => reject(options.signal?.reason as Error));
        });
      },
    };
    const { blocks } = await listBlocks(scene.store, scene.root);
    const said = await challenge({ host, blocks, waitMillis: 20, signal });
    expect(said).toMatchObject({ result: 'silent', delivered: 3, missing: 0, why: { code: 'TIMEOUT' } });
  });

  it('is left when its caller is told to', async () => {
    const scene = await site();
    const stop = new AbortController();
    const host: BlockReader = {
      get: () => {
        stop.abort();
        return Promise.reject(new RelaymintError('ABORTED', 'It was aborted.'));
      },
    };
    const asking = challenge({ host, blocks: [scene.root], waitMillis: 60_000, signal: stop.signal });
    await expect(asking).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('bringing a site in', () => {
  it('reads what the store lacks, and nothing else', async () => {
    const { store, root, keys } = await site();
    const here = await temporaryStore(cleanup);
    const first = observed(store);
    const pin = await bringIn(here, { name: NAME, root }, first.reader);
    expect([pin.blocks, first.asked.length]).toEqual([keys.size, keys.size]);
    const again = observed(store);
    await bringIn(here, { name: 'other.web3', root }, again.reader);
    expect(again.asked).toEqual([]);
  });

  it('keeps nothing of a site that nobody has all of, and says which block', async () => {
    const { store, root } = await site();
    const here = await temporaryStore(cleanup);
    const leaf = (await listBlocks(store, root)).blocks.find((cid) => !isDirectoryCodec(cid)) ?? root;
    const bringing = bringIn(here, { name: NAME, root }, observed(store, (cid) => cid.equals(leaf)).reader);
    await expect(bringing).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND', message: /is not stored here/ });
    const without = observed(store, (cid) => cid.equals(root));
    const other = await temporaryStore(cleanup);
    await expect(bringIn(other, { name: NAME, root }, without.reader)).rejects.toMatchObject({
      code: 'CONTENT_NOT_FOUND',
    });
    expect([here.pins(), other.pins(), without.asked.length]).toEqual([[], [], 1]);
  });

  it('keeps a manifest that is here already, of another name or unpinned, without asking for it', async () => {
    const store = await temporaryStore(cleanup);
    const { cid: root, block } = cborBlock(encode({ what: 'a manifest' }));
    await using session = store.begin();
    await session.put(root, block);
    const asked: CID[] = [];
    const from = { get: (cid: CID) => Promise.resolve((asked.push(cid), block)) };
    for (const name of [NAME, NAME, 'other.web3']) await bringManifest(store, { name, root }, from, signal);
    expect(store.pins().map((pin) => `${pin.name} ${pin.root.toString()}`)).toEqual(
      [NAME, 'other.web3'].map((name) => `${name} ${root.toString()}`),
    );
    expect(asked).toEqual([]);
    const empty = await temporaryStore(cleanup);
    await bringManifest(empty, { name: NAME, root }, from, signal);
    expect([asked.length, empty.has(root)]).toEqual([1, true]);
  });

  it('pays for nothing more once it is clear that not all of it can be had', async () => {
    const { store, root } = await site();
    const big = dagPb.decode(await store.get(root)).Links.find((link) => link.Name === 'big.bin')?.Hash ?? root;
    const { reader, asked } = observed(store, (cid) => cid.equals(big));
    const bringing = bringIn(await temporaryStore(cleanup), { name: NAME, root }, reader);
    await expect(bringing).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    // The root, the file, and what is beside it; nothing that is below.
    expect(asked).toHaveLength(3);
  });
});
