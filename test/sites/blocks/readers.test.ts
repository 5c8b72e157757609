/** All that give blocks: a store, a stream to a host, a site over its hosts. */
import { randomBytes } from 'node:crypto';
import { vi } from 'vitest';
import type { BlockStore } from '../../../sites/blocks/index.ts';
import { createContentClient, createContentSource } from '../../../sites/serve/index.ts';
import { encodeContentParams } from '../../../sites/serve/protocol.ts';
import { blockReaderCompliance, type BlockReaderUnderTest } from '../../compliance/block-reader.ts';
import { Cleanup, rawBlock, startHost, temporaryStore } from '../kit.ts';

const cleanup = new Cleanup();
const teardown = (): Promise<void> => cleanup.run();

const NAME = 'demo.web3';
const blocks = [10, 70_000, 300_000].map((length) => rawBlock(randomBytes(length)));

async function fill(store: BlockStore): Promise<Pick<BlockReaderUnderTest, 'blocks' | 'missing'>> {
  const session = store.begin();
  for (const { cid, block } of blocks) {
    await session.put(cid, block);
    await session.pin(NAME, cid);
  }
  await session.close();
  return { blocks, missing: rawBlock('nobody has this').cid };
}

/** Holds back what a host reads. */
function gate(store: BlockStore): Pick<BlockReaderUnderTest, 'stall' | 'goOn'> {
  let open = (): void => {};
  let gated = Promise.resolve();
  let arrived = (): void => {};
  const get = store.get.bind(store);
  vi.spyOn(store, 'get').mockImplementation(async (cid) => {
    arrived();
    await gated;
    return get(cid);
  });
  return {
    stall: () => {
      open();
      gated = new Promise((resolve) => (open = resolve));
      return new Promise((resolve) => (arrived = resolve));
    },
    goOn: () => open(),
  };
}

blockReaderCompliance('a store', {
  async setup() {
    const store = await temporaryStore(cleanup);
    const atOnce = { stall: async () => {}, goOn: () => {} };
    return { reader: store, ...(await fill(store)), ...atOnce, close: () => store.close() };
  },
  teardown,
});

blockReaderCompliance('a stream to a host', {
  async setup() {
    const host = await startHost(cleanup);
    const filled = await fill(host.store);
    const client = createContentClient(await host.route.openStream('content', encodeContentParams({ name: NAME })));
    cleanup.add(() => client.close());
    return { reader: client, ...filled, ...gate(host.store), close: () => client.close() };
  },
  teardown,
});

blockReaderCompliance('a site', {
  async setup() {
    const host = await startHost(cleanup);
    const filled = await fill(host.store);
    const source = createContentSource({ route: async () => host.route });
    cleanup.add(() => source.close());
    const site = { name: NAME, root: filled.missing };
    const content = await source.open(site, { signal: new AbortController().signal });
    return { reader: content, ...filled, ...gate(host.store), close: () => content.close() };
  },
  teardown,
});
