/** What a host states of what it delivered, as a visitor asks and checks it. */
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import type { CID } from 'multiformats/cid';
import { STATEMENT_EVERY_BYTES } from '../../../core/limits.ts';
import { bytes, pricePerMiB } from '../../../core/units.ts';
import type { ServiceHandler } from '../../../sites/blocks/index.ts';
import {
  createContentClient,
  createContentService,
  createContentSource,
  encodeContentParams,
  type ContentClient,
  type Statements,
} from '../../../sites/serve/index.ts';
import { encodeAnswerHeader, readRequest, statementCid, statementNonce } from '../../../sites/serve/protocol.ts';
import {
  createStatementSigner,
  type Delivered,
  type SignedStatement,
  type StatementSigner,
} from '../../../sites/statement/index.ts';
import { walletBindingMessage } from '../../../platform/keys/binding.ts';
import { ByteReader } from '../../../sites/wire/index.ts';
import { Cleanup, TestClock, rawBlock, socketPair, startHost, temporaryStore, wallet } from '../kit.ts';
import { PRICE, statingHost } from '../statement/kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const NAME = 'demo.web3';
const clock = new TestClock();
const host = statingHost(1, clock);
const terms = { host: host.identity.nodeId, wallet: host.wallet.address, price: PRICE };

interface Blocks {
  readonly blocks: readonly { readonly cid: CID; readonly block: Uint8Array }[];
  readonly serve: (state?: StatementSigner) => ServiceHandler;
}

async function keeping(...sizes: readonly number[]): Promise<Blocks> {
  const store = await temporaryStore(cleanup);
  const blocks = sizes.map((size) => rawBlock(randomBytes(size)));
  const session = store.begin();
  for (const { cid, block } of blocks) {
    await session.put(cid, block);
    await session.pin(NAME, cid);
  }
  await session.close();
  return { blocks, serve: (state) => createContentService({ store, clock, ...(state && { state }) }) };
}

interface Asked {
  readonly client: ContentClient;
  readonly stated: SignedStatement[];
  readonly faults: string[];
  readonly stream: Duplex;
}

async function ask(serve: ServiceHandler, change: Partial<Statements> = {}): Promise<Asked> {
  const [stream, far] = await socketPair(cleanup);
  const stated: SignedStatement[] = [];
  const faults: string[] = [];
  const statements: Statements = {
    ...terms,
    name: NAME,
    clock,
    onStated: (statement) => stated.push(statement),
    onFault: ({ code, message }) => faults.push(`${code} ${message}`),
    ...change,
  };
  serve(far, encodeContentParams(statements));
  const client = createContentClient(stream, { statements });
  cleanup.add(() => client.close());
  return { client, stated, faults, stream };
}

describe('a visitor that asks its host for statements', () => {
  it('has the bytes of all its blocks stated, and a later statement of the stream states more', async () => {
    const { blocks, serve } = await keeping(1_000, 70_000, 5);
    const { client, stated, faults } = await ask(serve(host.sign), { referrer: 'news.web3' });
    const [one, two, three] = blocks;
    await Promise.all([client.get(one!.cid), client.get(two!.cid)]);
    await client.state();
    // Nothing came since.
    await client.state();
    await client.get(three!.cid);
    await client.state();
    expect(faults).toEqual([]);
    expect(stated.map((one) => one.bytes)).toEqual([71_000, 71_005]);
    expect(new Set(stated.map(({ nonce }) => Buffer.from(nonce).toString('hex'))).size).toBe(1);
    expect(stated[0]).toMatchObject({ ...terms, name: NAME, referrer: 'news.web3' });
  });

  it('has another nonce on each stream', async () => {
    const { blocks, serve } = await keeping(1_000);
    const nonces = new Set<string>();
    for (let stream = 0; stream < 3; stream += 1) {
      const { client, stated } = await ask(serve(host.sign));
      await client.get(blocks[0]!.cid);
      await client.state();
      for (const { nonce } of stated) nonces.add(Buffer.from(nonce).toString('hex'));
    }
    expect(nonces.size).toBe(3);
  });

  it('is given one every so many bytes, in the middle of a long file, and each is what came until then', async () => {
    const size = 1_000_000;
    const { blocks, serve } = await keeping(...Array.from({ length: 24 }, () => size));
    const { client, stated, faults } = await ask(serve(host.sign));
    await Promise.all(blocks.map(({ cid }) => client.get(cid)));
    expect(faults).toEqual([]);
    expect(stated.length).toBeGreaterThan(0);
    expect(stated[0]!.bytes).toBeGreaterThanOrEqual(STATEMENT_EVERY_BYTES);
    await client.state();
    expect(stated.at(-1)?.bytes).toBe(24 * size);
  });

  it('asks for nothing where nothing came', async () => {
    const { serve } = await keeping(10);
    const { client, stated, faults } = await ask(serve(host.sign));
    await client.state();
    expect({ stated, faults }).toEqual({ stated: [], faults: [] });
  });

  it('reads on from a host of before, which has no block of that digest', async () => {
    const { blocks, serve } = await keeping(1_000, 2_000);
    const { client, stated, faults } = await ask(serve());
    await client.get(blocks[0]!.cid);
    await client.state();
    expect(await client.get(blocks[1]!.cid)).toEqual(blocks[1]!.block);
    await client.state();
    expect(stated).toEqual([]);
    // It is asked once on a stream.
    expect(faults).toEqual([expect.stringContaining('CONTENT_NOT_FOUND')]);
  });

  const by = (change: (delivered: Delivered) => Partial<Delivered>): StatementSigner => {
    return (delivered) => host.sign({ ...delivered, ...change(delivered) });
  };
  const priced = createStatementSigner({
    identity: host.identity,
    wallet: host.wallet.address,
    walletBinding: host.wallet.sign(walletBindingMessage(host.identity.nodeId)),
    price: pricePerMiB(1n),
    clock,
  });
  const other = wallet(55);
  const diverted = createStatementSigner({
    identity: host.identity,
    wallet: other.address,
    walletBinding: other.sign(walletBindingMessage(host.identity.nodeId)),
    price: PRICE,
    clock,
  });
  let first: Uint8Array | undefined;
  it.each<[string, StatementSigner]>([
    ['one byte less', by(({ bytes: all }) => ({ bytes: bytes(all - 1) }))],
    ['one byte more', by(({ bytes: all }) => ({ bytes: bytes(all + 1) }))],
    ['another name', by(() => ({ name: 'other.web3' }))],
    ['another page', by(() => ({ referrer: 'friend.web3' }))],
    ['another nonce', by(() => ({ nonce: randomBytes(16) }))],
    ['another time', by(({ since }) => ({ since: (since - 3 * 3_600_000) as Delivered['since'] }))],
    ['a lower price', priced],
    ['another wallet of its own', diverted],
    ['what another host signed', statingHost(2, clock).sign],
    [
      'what it signed for another stream',
      (delivered) => (first ??= host.sign({ ...delivered, nonce: randomBytes(16) })),
    ],
    ['no statement at all', () => randomBytes(300)],
  ])('does not believe a host that states %s, and reads on', async (_what, state) => {
    const { blocks, serve } = await keeping(1_000, 2_000);
    const { client, stated, faults } = await ask(serve(state));
    await client.get(blocks[0]!.cid);
    await client.state();
    expect(stated).toEqual([]);
    expect(faults).toEqual([expect.stringContaining('PROTOCOL_VIOLATION')]);
    expect(await client.get(blocks[1]!.cid)).toEqual(blocks[1]!.block);
  });

  it('leaves a host that announces a statement longer than any', async () => {
    const { blocks } = await keeping(1_000);
    const { client, faults } = await ask((stream) => {
      stream.on('error', () => undefined);
      const run = async (): Promise<void> => {
        const reader = new ByteReader(stream);
        for (;;) {
          const request = await readRequest(reader);
          if (request === undefined) return;
          const isStatement = statementNonce(request.cid) !== undefined;
          const block = blocks[0]!.block;
          stream.write(encodeAnswerHeader(request.id, 0, isStatement ? 1_000_000 : block.length));
          if (!isStatement) stream.write(block);
        }
      };
      run().catch(() => undefined);
    });
    await client.get(blocks[0]!.cid);
    await client.state();
    expect(faults).toEqual([expect.stringContaining('PROTOCOL_VIOLATION')]);
    expect(client.isOpen).toBe(false);
  });
});

describe('a request for a statement', () => {
  it('looks like one for a block, and no block of anybody is taken for one', () => {
    const nonce = randomBytes(16);
    const asked = statementCid(nonce);
    expect(statementNonce(asked)).toEqual(new Uint8Array(nonce));
    expect(asked.bytes).toHaveLength(rawBlock('x').cid.bytes.length);
    for (let drawn = 0; drawn < 1_000; drawn += 1) {
      expect(statementNonce(rawBlock(randomBytes(8)).cid)).toBeUndefined();
    }
  });
});

describe('a gateway over hosts that state', () => {
  const signal = new AbortController().signal;

  it('has what it fetched stated when it stops, and a host that will not is reported and still read from', async () => {
    const honest = await keeping(1_000, 2_000);
    for (const state of [host.sign, undefined]) {
      const stated: number[] = [];
      const bad: string[] = [];
      const { route } = await startHost(cleanup, { content: honest.serve(state) });
      const source = createContentSource({
        route: () => Promise.resolve({ ...route, terms }),
        onStated: (statement) => stated.push(statement.bytes),
        onBadHost: (_host, error) => bad.push(error.code),
        clock,
      });
      const [one, two] = honest.blocks;
      const site = { name: NAME, root: one!.cid };
      const content = await source.open(site, { signal });
      await content.get(one!.cid);
      await content.get(two!.cid);
      content.close();
      await Promise.resolve();
      await source.close();
      expect(stated).toEqual(state === undefined ? [] : [3_000]);
      // What happens while it stops is blamed on nobody.
      expect(bad).toEqual([]);
    }
  });

  it('asks for another way at once after a host stated too little, and reads from it where there is no other', async () => {
    const { blocks, serve } = await keeping(...Array.from({ length: 5 }, () => STATEMENT_EVERY_BYTES / 4));
    const { route } = await startHost(cleanup, {
      content: serve((delivered) => host.sign({ ...delivered, bytes: bytes(delivered.bytes / 2) })),
    });
    let routes = 0;
    const faults = new EventEmitter();
    const reported = once(faults, 'fault');
    const source = createContentSource({
      route: () => {
        routes += 1;
        return Promise.resolve({ ...route, terms });
      },
      onStated: () => {},
      onBadHost: (_host, error) => faults.emit('fault', error.code),
      clock,
    });
    cleanup.add(() => source.close());
    const read = async (some: Blocks['blocks']): Promise<void> => {
      const content = await source.open({ name: NAME, root: blocks[0]!.cid }, { signal });
      for (const { cid } of some) await content.get(cid);
      content.close();
    };
    await read(blocks.slice(0, 4));
    expect(await reported).toEqual(['PROTOCOL_VIOLATION']);
    await read(blocks.slice(4));
    expect(routes).toBe(2);
  });
});
