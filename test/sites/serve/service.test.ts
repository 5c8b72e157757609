import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import type { CID } from 'multiformats/cid';
import type { NameShare } from '../../../core/attribution.ts';
import { Writer } from '../../../core/codec.ts';
import { MAX_BLOCKS_IN_FLIGHT, MAX_BLOCK_BYTES } from '../../../core/limits.ts';
import { createContentClient, createContentService, encodeContentParams } from '../../../sites/serve/index.ts';
import type { BlockStore } from '../../../sites/blocks/index.ts';
import type { ContentClient } from '../../../sites/serve/index.ts';
import { encodeAnswerHeader, encodeRequest, readRequest } from '../../../sites/serve/protocol.ts';
import { ByteReader } from '../../../sites/wire/index.ts';
import {
  Cleanup,
  aloneIn,
  damageBlock,
  rawBlock,
  socketPair,
  startHost,
  temporaryFolder,
  temporaryStore,
} from '../kit.ts';

type Block = ReturnType<typeof rawBlock>;

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

/** Blocks pinned one by one: a raw leaf is a root of its own. */
async function keep(
  store: BlockStore,
  name: string,
  blocks: readonly { cid: CID; block: Uint8Array }[],
): Promise<void> {
  const session = store.begin();
  for (const { cid, block } of blocks) {
    await session.put(cid, block);
    await session.pin(name, cid);
  }
  await session.close();
}

async function connectTo(
  store: BlockStore,
  name = 'demo.web3',
): Promise<{ client: ContentClient; near: Duplex; far: Duplex }> {
  const [near, far] = await socketPair(cleanup);
  createContentService({ store })(far, encodeContentParams({ name }));
  return { client: createContentClient(near), near, far };
}

interface Ticking {
  readonly stream: Duplex;
  /** Bytes written in each tick, as a circuit gathers them. */
  readonly ticks: readonly number[];
  readonly told: (ticks: number) => Promise<void>;
}

function ticking(): Ticking {
  const ticks: number[] = [];
  let gathering = false;
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      if (!gathering) {
        gathering = true;
        ticks.push(0);
        process.nextTick(() => {
          gathering = false;
          stream.emit('gathered');
        });
      }
      ticks[ticks.length - 1] = (ticks.at(-1) ?? 0) + chunk.length;
      done();
    },
  });
  const told = async (count: number): Promise<void> => {
    while (ticks.length < count) await once(stream, 'gathered');
  };
  return { stream, ticks, told };
}

describe('content service', () => {
  it('serves verified blocks, many at once, which count for the name', async () => {
    const host = await startHost(cleanup);
    const blocks = Array.from({ length: 40 }, (_, i) => rawBlock(randomBytes(i * 30_000)));
    await keep(host.store, 'demo.web3', blocks);
    const stream = await host.route.openStream('content', encodeContentParams({ name: 'demo.web3' }));
    const client = createContentClient(stream);
    const got = await Promise.all(blocks.map(({ cid }) => client.get(cid)));
    got.forEach((block, i) => expect(Buffer.from(block).equals(blocks[i]?.block ?? Buffer.alloc(0))).toBe(true));
    expect(host.names).toEqual(['demo.web3']);
    expect(client.pending).toBe(0);
    client.close();
    await expect(client.get(blocks[0]?.cid as CID)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('says that it lacks a block whose bytes changed on its disk, and sends the others', async () => {
    const directory = await temporaryFolder(cleanup);
    const store = await temporaryStore(cleanup, { directory });
    const blocks = ['damaged', 'sound'].map((text) => rawBlock(text)) as [Block, Block];
    await keep(store, 'demo.web3', blocks);
    const [damaged, sound] = blocks;
    await damageBlock(directory, damaged.cid);
    const { client } = await connectTo(store);
    await expect(client.get(damaged.cid)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    expect(await client.get(sound.cid)).toEqual(Buffer.from(sound.block));
  });

  it('serves nothing under a name that does not have it', async () => {
    const store = await temporaryStore(cleanup);
    const mine = rawBlock('of demo');
    const other = rawBlock('of other');
    await keep(store, 'demo.web3', [mine]);
    await keep(store, 'other.web3', [other]);
    const { client } = await connectTo(store);
    await expect(client.get(other.cid)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    expect(await client.get(mine.cid)).toEqual(Buffer.from(mine.block));
    const unknown = await connectTo(store, 'nobody.web3');
    await expect(unknown.client.get(mine.cid)).rejects.toMatchObject({ code: 'CONTENT_REFUSED' });
    expect(unknown.client.isOpen).toBe(true);
  });

  it('has nothing count for a name that it keeps nothing for, and does so once it does', async () => {
    const store = await temporaryStore(cleanup);
    const block = rawBlock('to come');
    const [near, far] = await socketPair(cleanup);
    const names: string[] = [];
    const attribute = (shares: readonly NameShare[]): void => void names.push(aloneIn(shares));
    const stream = Object.assign(far, { attribute });
    createContentService({ store })(stream, encodeContentParams({ name: 'demo.web3' }));
    const client = createContentClient(near);
    await expect(client.get(block.cid)).rejects.toMatchObject({ code: 'CONTENT_REFUSED' });
    expect(names).toEqual([]);
    await keep(store, 'demo.web3', [block]);
    await client.get(block.cid);
    await client.get(block.cid);
    expect(names).toEqual(['demo.web3']);
  });

  it('gives up one block when asked to, and keeps the stream', async () => {
    const store = await temporaryStore(cleanup);
    const blocks = Array.from({ length: 20 }, (_, i) => rawBlock(randomBytes(100_000 + i)));
    await keep(store, 'demo.web3', blocks);
    const { client } = await connectTo(store);
    const stop = new AbortController();
    const results = blocks.map(({ cid }, i) => client.get(cid, i % 2 === 0 ? {} : { signal: stop.signal }));
    stop.abort();
    const settled = await Promise.allSettled(results);
    settled.forEach(({ status }, i) => expect(status).toBe(i % 2 === 0 ? 'fulfilled' : 'rejected'));
    expect(await client.get(blocks[3]?.cid as CID)).toHaveLength(100_003);
  });

  it('waits for a slow reader instead of piling blocks up', async () => {
    const store = await temporaryStore(cleanup);
    const blocks = Array.from({ length: 40 }, () => rawBlock(randomBytes(1 << 20)));
    await keep(store, 'demo.web3', blocks);
    let reads = 0;
    const counting: BlockStore = Object.create(store, {
      get: {
        value: async (cid: CID) => {
          reads += 1;
          return await store.get(cid);
        },
      },
      pins: { value: (name?: string) => store.pins(name) },
      pinsWith: { value: (name: string, cid: CID) => store.pinsWith(name, cid) },
    });
    const [near, far] = await socketPair(cleanup);
    createContentService({ store: counting })(far, encodeContentParams({ name: 'demo.web3' }));
    near.write(Buffer.concat(blocks.map(({ cid }, i) => encodeRequest(i, cid))));
    // The host has to stop by itself: one block that cannot be written, one read ahead, and what sockets hold.
    await once(far, 'readable');
    let before = -1;
    while (before !== reads) {
      before = reads;
      for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(reads).toBeLessThan(20);
    expect(far.writableLength).toBeLessThanOrEqual(2 * (1 << 20));
    let arrived = 0;
    near.on('data', (chunk: Buffer) => (arrived += chunk.length));
    near.end();
    await once(far, 'finish');
    await once(near, 'end');
    expect(arrived).toBe(40 * ((1 << 20) + 9));
  });

  it('writes at once what belongs together: a circuit puts what is written in one tick into the same cells', async () => {
    const store = await temporaryStore(cleanup);
    const blocks = Array.from({ length: 4 }, (_, i) => rawBlock(randomBytes(3000 + i)));
    await keep(store, 'demo.web3', blocks);
    const asking = ticking();
    const client = createContentClient(asking.stream);
    const waiting = blocks.map(({ cid }) => client.get(cid).catch(() => undefined));
    await asking.told(1);
    expect(asking.ticks).toEqual([4 * encodeRequest(1, blocks[0]?.cid as CID).length]);
    client.close();
    await Promise.all(waiting);
    const answering = ticking();
    createContentService({ store })(answering.stream, encodeContentParams({ name: 'demo.web3' }));
    answering.stream.push(encodeRequest(1, blocks[0]?.cid as CID));
    await answering.told(1);
    expect(answering.ticks).toEqual([9 + 3000]);
    answering.stream.push(null);
    await once(answering.stream, 'finish');
  });

  it.each([
    ['an unknown version', new Uint8Array([9, 1, 0, 97]), 'VERSION_UNSUPPORTED'],
    ['no name', new Uint8Array([1]), 'INVALID_ENCODING'],
    [
      'a page that embeds itself',
      encodeContentParams({ name: 'demo.web3', referrer: 'demo.web3' }),
      'PROTOCOL_VIOLATION',
    ],
    ['a bad name of a page', encodeContentParams({ name: 'demo.web3', referrer: 'not a name' }), 'NAME_INVALID'],
    [
      'bytes after it all',
      Buffer.concat([encodeContentParams({ name: 'demo.web3', referrer: 'a.web3' }), Buffer.from([0])]),
      'INVALID_ENCODING',
    ],
    ['a bad name', encodeContentParams({ name: 'not a name' }), 'NAME_INVALID'],
    [
      'trailing bytes',
      Buffer.concat([encodeContentParams({ name: 'demo.web3' }), Buffer.from([0])]),
      'INVALID_ENCODING',
    ],
  ])('resets a stream opened with %s', async (_what, params, code) => {
    const store = await temporaryStore(cleanup);
    const [, far] = await socketPair(cleanup);
    const failed = once(far, 'error');
    createContentService({ store })(far, params);
    expect((await failed)[0]).toMatchObject({ code });
  });

  it('resets a stream that asks for something that is not a CID', async () => {
    const store = await temporaryStore(cleanup);
    const { near, far } = await connectTo(store);
    const failed = once(far, 'error');
    near.write(new Uint8Array([0, 0, 0, 0, 4, 1, 2, 3, 4]));
    expect((await failed)[0]).toMatchObject({ code: 'INVALID_ENCODING' });
  });
});

describe('content client against a lying host', () => {
  const wanted = rawBlock(randomBytes(50_000));
  const later = rawBlock('asked for next');

  type Lie = (far: Duplex, ids: readonly number[]) => void;
  const lies: [string, string, Lie][] = [
    [
      'a flipped byte',
      'CONTENT_CORRUPT',
      (far, [id = 0]) => {
        const block = Uint8Array.from(wanted.block);
        block[40_000] = (block[40_000] ?? 0) ^ 1;
        far.write(encodeAnswerHeader(id, 0, block.length));
        far.write(block);
      },
    ],
    [
      'a block that is too short',
      'CONTENT_CORRUPT',
      (far, [id = 0]) => {
        far.write(encodeAnswerHeader(id, 0, 49_999));
        far.write(wanted.block.subarray(0, 49_999));
      },
    ],
    ['a giant length', 'LIMIT_EXCEEDED', (far, [id = 0]) => far.write(encodeAnswerHeader(id, 0, MAX_BLOCK_BYTES + 1))],
    [
      'a cut block',
      'STREAM_RESET',
      (far, [id = 0]) => {
        far.write(encodeAnswerHeader(id, 0, 50_000));
        far.end(wanted.block.subarray(0, 20_000));
      },
    ],
    [
      'the answer to something else',
      'PROTOCOL_VIOLATION',
      (far, [, id = 0]) => far.write(encodeAnswerHeader(id, 1, 0)),
    ],
    [
      'an unknown status',
      'PROTOCOL_VIOLATION',
      (far, [id = 0]) => far.write(new Writer(9).u32(id).u8(7).u32(0).finish()),
    ],
    ['a refusal with bytes', 'PROTOCOL_VIOLATION', (far, [id = 0]) => far.write(encodeAnswerHeader(id, 1, 5))],
    ['an end without a word', 'STREAM_RESET', (far) => far.end()],
    ['a reset', 'STREAM_RESET', (far) => far.destroy()],
    ['silence', 'TIMEOUT', () => undefined],
    ['a header, then silence', 'TIMEOUT', (far, [id = 0]) => far.write(encodeAnswerHeader(id, 0, 50_000))],
  ];

  it.each(lies)('%s fails everything that waits, with %s', async (_what, code, lie) => {
    const [near, far] = await socketPair(cleanup);
    const client = createContentClient(near, { waitMillis: code === 'TIMEOUT' ? 50 : 60_000 });
    const reading = new ByteReader(far);
    const asked = Promise.allSettled([client.get(wanted.cid), client.get(later.cid)]);
    const ids = [(await readRequest(reading))?.id ?? 0, (await readRequest(reading))?.id ?? 0];
    lie(far, ids);
    for (const result of await asked) expect(result).toMatchObject({ status: 'rejected', reason: { code } });
    expect(client.isOpen).toBe(false);
    await once(near, 'close').catch(() => undefined);
    expect(near.destroyed).toBe(true);
  });

  it('asks for no more than the limit ahead', async () => {
    const [near, far] = await socketPair(cleanup);
    const client = createContentClient(near);
    const blocks = Array.from({ length: MAX_BLOCKS_IN_FLIGHT * 2 }, (_, i) => rawBlock(`block ${i}`));
    const got = Promise.all(blocks.map(({ cid }) => client.get(cid)));
    const reading = new ByteReader(far);
    let outstanding = 0;
    for (const { block } of blocks) {
      const request = await readRequest(reading);
      outstanding += 1;
      expect(outstanding).toBeLessThanOrEqual(MAX_BLOCKS_IN_FLIGHT);
      if (outstanding === MAX_BLOCKS_IN_FLIGHT || request?.id === undefined) {
        // All that may be asked has been asked: now answer.
      }
      far.write(Buffer.concat([encodeAnswerHeader(request?.id ?? 0, 0, block.length), block]));
      outstanding -= 1;
    }
    expect(await got).toHaveLength(blocks.length);
  });
});
