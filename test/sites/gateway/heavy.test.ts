/** Content of a few blocks that would cost a gateway much more than what was paid for it: time of its one thread, or memory. */
import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { CID } from 'multiformats/cid';
import { afterEach, describe, expect, it } from 'vitest';
import { Cleanup, rawBlock } from '../kit.ts';
import { startFront, type Front } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

interface Block {
  readonly cid: CID;
  readonly block: Uint8Array;
}

type Link = readonly [name: string, to: Block];

function node(unixfs: UnixFS, links: readonly Link[]): Block {
  const Links = links.map(([Name, { cid }]) => ({ Name, Hash: cid, Tsize: 1 }));
  const block = dagPb.encode(dagPb.prepare({ Data: unixfs.marshal(), Links }));
  return { cid: CID.createV1(dagPb.code, rawBlock(block).cid.multihash), block };
}

const folder = (...links: readonly Link[]): Block => node(new UnixFS({ type: 'directory' }), links);

function shard(links: readonly Link[]): Block {
  return node(
    new UnixFS({ type: 'hamt-sharded-directory', fanout: 256n, data: new Uint8Array([1]), hashType: 0x22n }),
    links,
  );
}

const words = rawBlock('words');

async function publish({ host, ledger }: Front, root: Block, ...others: readonly Block[]): Promise<void> {
  const session = host.store.begin();
  for (const { cid, block } of [root, ...others]) await session.put(cid, block);
  await session.pin('demo.web3', root.cid);
  await session.close();
  ledger.register('demo.web3', root.cid.bytes);
}

describe('a folder', () => {
  it('whose shards hold each other by many ways is not walked by all of them', async () => {
    const front = await startFront(cleanup);
    const blocks = [shard([])];
    for (let level = 0; level < 10; level += 1) {
      const [last] = blocks as [Block];
      blocks.unshift(
        shard([
          ['00', last],
          ['01', last],
        ]),
      );
    }
    const [top] = blocks as [Block];
    await publish(front, folder(['many', top]), ...blocks);
    const list = await front.get('/many/');
    expect([list.status, list.text.includes('one of its shards occurs twice')]).toEqual([502, true]);
    await expect(front.get('/many?format=tar')).rejects.toThrow('aborted');
    const car = await front.get('/many?format=car');
    expect(car.status).toBe(200);
  });

  it('of shards is listed, with all that is in it', async () => {
    const front = await startFront(cleanup);
    const below = shard([
      ['00a.txt', words],
      ['01b.txt', words],
    ]);
    const top = shard([
      ['00', below],
      ['01c.txt', words],
    ]);
    await publish(front, folder(['some', top]), top, below, words);
    const { status, text } = await front.get('/some/');
    const listed = Array.from(text.matchAll(/>(.\.txt)</g), ([, name]) => name);
    expect([status, listed]).toEqual([200, ['a.txt', 'b.txt', 'c.txt']]);
  });

  it('is listed as far as its names are no longer than those of file systems', async () => {
    const front = await startFront(cleanup);
    const long = (letter: string): string => letter.repeat(400_000);
    const top = folder([long('a'), words], [long('b'), words]);
    await publish(front, folder(['long', top]), top, words);
    const { status, text } = await front.get('/long/');
    expect([status, text.includes('more than can be shown'), text.includes('aaa'), text.includes('bbb')]).toEqual([
      200,
      true,
      true,
      false,
    ]);
  });
});

it('rules of a site that are cut into more pieces than any tool makes are not read', async () => {
  const front = await startFront(cleanup);
  const letters = Array.from('/a /b 301\n'.repeat(10), (letter) => rawBlock(letter));
  const file = new UnixFS({ type: 'file', blockSizes: letters.map(() => 1n) });
  const rules = node(
    file,
    letters.map((letter) => ['', letter]),
  );
  await publish(front, folder(['_redirects', rules]), rules, ...letters);
  const { status, text } = await front.get('/a');
  expect([status, text.includes('_redirects')]).toEqual([500, true]);
});
