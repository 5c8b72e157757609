import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { CID } from 'multiformats/cid';
import {
  MAX_ROOTS_PER_NAME,
  MAX_SUPERSEDED_PARTS,
  ORPHAN_BLOCK_MILLIS,
  SUPERSEDED_MOST_MILLIS,
  SUPERSEDED_ROOT_MILLIS,
  SUPERSEDED_USE_MILLIS,
} from '../../../core/limits.ts';
import { bytes } from '../../../core/units.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { silentLog } from '../../../core/ports.ts';
import { createPinKeeper, createPublishService, publishSite } from '../../../sites/publish/index.ts';
import { importSite } from '../../../sites/unixfs/index.ts';
import { diskError } from '../../../platform/disk/disk-error.ts';
import type { BlockStore, ImportSession, OpenStream } from '../../../sites/blocks/index.ts';
import type { PublishOptions, PublishServiceOptions } from '../../../sites/publish/index.ts';
import {
  Cleanup,
  NameBook,
  TestClock,
  rawBlock,
  socketPair,
  startHost,
  temporaryFolder,
  temporaryStore,
  wallet,
  writeTree,
} from '../kit.ts';
import type { TestHost } from '../kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

interface Scene {
  readonly host: TestHost;
  readonly ledger: NameBook;
  readonly store: BlockStore;
  readonly folder: string;
  readonly publish: (options?: Partial<PublishOptions>) => ReturnType<typeof publishSite>;
  readonly import: (files: Readonly<Record<string, string | Uint8Array>>) => Promise<CID>;
}

async function scene(options: Partial<PublishServiceOptions> = {}): Promise<Scene> {
  const ledger = new NameBook();
  const host = await startHost(cleanup);
  const handler = createPublishService({
    store: host.store,
    ledger,
    host: host.id,
    accept: { policy: 'open' },
    ...options,
  });
  const openStream: OpenStream = async (_service, params) => {
    const [near, far] = await socketPair(cleanup);
    handler(far, params);
    return near;
  };
  const store = await temporaryStore(cleanup);
  const folder = await temporaryFolder(cleanup);
  let root: CID | undefined;
  return {
    host,
    ledger,
    store,
    folder,
    import: async (files) => {
      await writeTree(folder, files);
      ({ root } = await importSite(store, 'demo.web3', folder));
      return root;
    },
    publish: (more = {}) =>
      publishSite({
        openStream,
        host: host.id,
        store,
        name: 'demo.web3',
        root: root ?? rawBlock('nothing').cid,
        publisher: wallet(1),
        ...more,
      }),
  };
}

describe('publish', () => {
  it('sends a site once; again it sends nothing', async () => {
    const { publish, import: bring, host, store } = await scene();
    const root = await bring({ 'index.html': '<h1>hi', 'big.bin': randomBytes(5_000_000) });
    const progress: number[] = [];
    const result = await publish({ onProgress: ({ sentBytes }) => progress.push(sentBytes) });
    expect(result.blocks).toBe(store.pins('demo.web3')[0]?.blocks);
    expect(result).toMatchObject({ sentBlocks: result.blocks, skippedBlocks: 0, sentBytes: result.bytes });
    expect(progress.at(-1)).toBe(result.bytes);
    expect(host.store.pins('demo.web3').map((pin) => pin.root.toString())).toEqual([root.toString()]);
    for await (const cid of store.blocksOf(root)) {
      expect(Buffer.from(await host.store.get(cid)).equals(await store.get(cid))).toBe(true);
    }
    expect(await publish()).toMatchObject({ sentBlocks: 0, skippedBlocks: result.blocks });
  });

  it('resumes a publish that broke in the middle', async () => {
    const { publish, import: bring } = await scene();
    await bring(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}.bin`, randomBytes(2000)])));
    const stop = new AbortController();
    const broken = publish({
      signal: stop.signal,
      onProgress: ({ sentBlocks }) => sentBlocks >= 150 && stop.abort(),
    });
    await expect(broken).rejects.toMatchObject({ code: 'ABORTED' });
    const resumed = await publish();
    expect(resumed.skippedBlocks).toBeGreaterThan(50);
    expect(resumed.sentBlocks + resumed.skippedBlocks).toBe(resumed.blocks);
  });

  it.each([
    ['another wallet', { publisher: wallet(2) }, /belongs to another wallet/],
    [
      'a forged proof',
      { publisher: { address: wallet(1).address, sign: (message: Uint8Array) => wallet(2).sign(message) } },
      /not signed by/,
    ],
    [
      'the proof for another host',
      {
        publisher: {
          address: wallet(1).address,
          sign: (m: Uint8Array) => wallet(1).sign(m.map((b, i) => (i === 25 ? b ^ 1 : b))),
        },
      },
      /not signed by/,
    ],
    [
      'a small-order key',
      { publisher: { address: '11111111111111111111111111111111' as never, sign: () => new Uint8Array(64) } },
      /not signed by/,
    ],
  ])('refuses %s', async (_what, options, message) => {
    const { publish, import: bring, ledger, host } = await scene();
    const root = await bring({ 'a.txt': 'a' });
    ledger.register('demo.web3', root.bytes, wallet(1).address);
    await expect(publish(options)).rejects.toMatchObject({ code: 'CONTENT_REFUSED', message });
    expect(host.store.stats().blocks).toBe(0);
  });

  it('does not tell which ledger node it could not ask', async () => {
    const { publish, import: bring, ledger } = await scene();
    await bring({ 'a.txt': 'a' });
    ledger.name = () =>
      Promise.reject(new RelaymintError('LEDGER_UNREACHABLE', 'https://tenant.provider.example does not answer.'));
    const failure: unknown = await publish().catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: expect.stringContaining('The host failed') as string });
    expect((failure as RelaymintError).message).not.toContain('tenant');
  });

  it('accepts an expired name from anybody: the publisher registers it next', async () => {
    const { publish, import: bring, ledger } = await scene();
    const root = await bring({ 'a.txt': 'a' });
    ledger.register('demo.web3', root.bytes, wallet(1).address, 'grace');
    await expect(publish({ publisher: wallet(2) })).rejects.toMatchObject({ code: 'CONTENT_REFUSED' });
    ledger.register('demo.web3', root.bytes, wallet(1).address, 'expired');
    expect((await publish({ publisher: wallet(2) })).sentBlocks).toBeGreaterThan(0);
  });

  it('takes a registered name from its manager too', async () => {
    const { publish, import: bring, ledger } = await scene();
    const root = await bring({ 'a.txt': 'a' });
    const record = ledger.register('demo.web3', root.bytes, wallet(1).address);
    ledger.records.set('demo.web3', { ...record, manager: wallet(3).address });
    expect(await publish({ publisher: wallet(3) })).toMatchObject({ blocks: 2 });
  });

  it('a host may take only the names it was told', async () => {
    const { publish, import: bring } = await scene({ accept: { policy: 'names', names: ['other.web3'] } });
    await bring({ 'a.txt': 'a' });
    await expect(publish()).rejects.toMatchObject({ code: 'CONTENT_REFUSED', message: /does not take demo\.web3/ });
  });

  it('stops at the quota of a name, in the middle of sending', async () => {
    const warned: object[] = [];
    const log = { ...silentLog, warn: (fields: object) => void warned.push(fields) };
    const { publish, import: bring, host } = await scene({ quotaPerName: bytes(1_000_000), log });
    await bring({ 'a.bin': randomBytes(8_000_000) });
    await expect(publish()).rejects.toMatchObject({ code: 'STORAGE_FULL', message: /demo\.web3 may keep/ });
    // Anybody can bring too much: that is nothing to wake an operator for.
    expect(warned).toEqual([]);
    expect(host.store.pins()).toEqual([]);
    expect(host.store.stats().bytes).toBeLessThanOrEqual(1_000_000);
  });

  it('a full disk of the host is told as the host’s, and warned of once in its own log until there is room', async () => {
    const kept = await temporaryStore(cleanup);
    let full = true;
    const noSpace = diskError(Object.assign(new Error('no space left'), { code: 'ENOSPC' }), 'Writing a block');
    const begin = (): ImportSession => {
      const session = kept.begin();
      return {
        hold: (cid) => session.hold(cid),
        put: (cid, block) => (full ? Promise.reject(noSpace) : session.put(cid, block)),
        pin: (name, root) => session.pin(name, root),
        get added() {
          return session.added;
        },
        close: () => session.close(),
        [Symbol.asyncDispose]: () => session.close(),
      };
    };
    const store: BlockStore = Object.create(kept, {
      begin: { value: begin },
      pins: { value: (name?: string) => kept.pins(name) },
    });
    const warned: object[] = [];
    const log = { ...silentLog, warn: (fields: object) => void warned.push(fields) };
    const { publish, import: bring, host } = await scene({ store, log });
    await bring({ 'a.txt': 'a' });
    for (let tries = 0; tries < 2; tries += 1) {
      const failure: unknown = await publish().catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'STORAGE_FULL', message: expect.stringContaining(host.id) as string });
      expect((failure as RelaymintError).message).toContain('--host');
      expect((failure as RelaymintError).message).not.toContain('Free some space');
    }
    expect(warned).toEqual([{ err: noSpace }]);
    full = false;
    await publish();
    full = true;
    await bring({ 'b.txt': 'b' });
    await expect(publish()).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    expect(warned).toHaveLength(2);
  });

  it('does not keep a root whose blocks were not sent', async () => {
    const { publish, host } = await scene();
    await expect(publish()).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    expect(host.store.pins()).toEqual([]);
  });

  it('refuses a block that is not what it says', async () => {
    const { import: bring, publish, host, store } = await scene();
    await bring({ 'a.txt': 'a page' });
    const lying: BlockStore = Object.create(store, {
      blocksOf: { value: (root: CID) => store.blocksOf(root) },
      get: { value: async (cid: CID) => (await store.get(cid)).map((byte) => byte ^ 1) },
    });
    await expect(publish({ store: lying })).rejects.toMatchObject({ code: 'CONTENT_CORRUPT' });
    expect(host.store.stats().blocks).toBe(0);
  });

  it.each([
    ['nothing and hangs up', (far: { end(): void }) => far.end(), 'STREAM_RESET'],
    ['noise', (far: { end(data: Uint8Array): void }) => far.end(new Uint8Array(500).fill(1)), 'PROTOCOL_VIOLATION'],
  ])('survives a host that says %s', async (_what, say, code) => {
    const { publish, import: bring } = await scene();
    await bring({ 'a.txt': 'a' });
    const openStream: OpenStream = async () => {
      const [near, far] = await socketPair(cleanup);
      say(far);
      return near;
    };
    const failure = await publish({ openStream }).then(
      () => undefined,
      (error: RelaymintError) => error.code,
    );
    expect([code, 'STREAM_RESET']).toContain(failure);
  });

  it('keeps few roots of one name: the one on chain, the new one, a spare', async () => {
    const { publish, import: bring, ledger, host } = await scene();
    const onChain = await bring({ 'index.html': 'version 0' });
    await publish();
    ledger.register('demo.web3', onChain.bytes);
    const roots: string[] = [];
    for (let version = 1; version <= MAX_ROOTS_PER_NAME + 2; version += 1) {
      roots.push((await bring({ 'index.html': `version ${version}` })).toString());
      await publish();
    }
    const kept = host.store.pins('demo.web3').map((pin) => pin.root.toString());
    expect(kept).toHaveLength(MAX_ROOTS_PER_NAME);
    expect(kept).toContain(onChain.toString());
    expect(kept).toContain(roots.at(-1));
  });
});

describe('pin keeper', () => {
  /** A root on chain, and one that it replaced a moment ago and that somebody fetches. */
  async function replaced(quota?: number) {
    const clock = new TestClock();
    const ledger = new NameBook();
    const store = await temporaryStore(cleanup, { clock, ...(quota !== undefined && { quota: bytes(quota) }) });
    const lines: object[] = [];
    const log = { ...silentLog, info: (fields: object) => void lines.push(fields) };
    const keeper = createPinKeeper({ store, ledger, clock, log });
    for (const text of ['a'.repeat(1000), 'b'.repeat(1000)]) {
      const session = store.begin();
      const { cid, block } = rawBlock(text);
      await session.put(cid, block);
      await session.pin('demo.web3', cid);
      await session.close();
      ledger.register('demo.web3', cid.bytes);
      clock.advance(1000);
    }
    const [old] = store.pins();
    if (old === undefined) throw new Error('nothing is kept');
    await keeper.sweep();
    return { clock, store, keeper, old, lines, isKept: () => store.has(old.root) };
  }

  it('keeps what was replaced while somebody fetches it, and no longer', async () => {
    const { clock, keeper, old, lines, isKept } = await replaced();
    for (let minutes = 0; minutes < 10; minutes += 2) {
      clock.advance(2 * 60_000);
      keeper.fetched(old);
      await keeper.sweep();
    }
    expect(isKept()).toBe(true);
    clock.advance(SUPERSEDED_USE_MILLIS - 1);
    await keeper.sweep();
    expect(isKept()).toBe(true);
    clock.advance(1);
    await keeper.sweep();
    expect([isKept(), lines]).toEqual([false, [expect.not.objectContaining({ stillFetched: true })]]);
  });

  it('lets it go in the end, and says that a download ended with it', async () => {
    const { clock, keeper, old, lines, isKept } = await replaced();
    clock.advance(SUPERSEDED_MOST_MILLIS - 1);
    keeper.fetched(old);
    await keeper.sweep();
    expect(isKept()).toBe(true);
    clock.advance(1);
    await keeper.sweep();
    const told = { stillFetched: true, why: 'it was replaced too long ago', root: old.root.toString() };
    expect([isKept(), lines]).toEqual([false, [expect.objectContaining(told)]]);
  });

  it.each([
    [MAX_SUPERSEDED_PARTS * 1000, true],
    [MAX_SUPERSEDED_PARTS * 1000 - 1, false],
  ])('keeps it only where it leaves most of a quota of %i bytes to others: %s', async (quota, kept) => {
    const { clock, keeper, old, isKept } = await replaced(quota);
    clock.advance(SUPERSEDED_ROOT_MILLIS);
    keeper.fetched(old);
    await keeper.sweep();
    expect(isKept()).toBe(kept);
  });

  it('removes the old root some time after the chain names the new one', async () => {
    const clock = new TestClock();
    const ledger = new NameBook();
    const store = await temporaryStore(cleanup, { clock });
    const keeper = createPinKeeper({ store, ledger, clock });
    const pin = async (text: string): Promise<CID> => {
      const session = store.begin();
      const { cid, block } = rawBlock(text);
      await session.put(cid, block);
      await session.pin('demo.web3', cid);
      await session.close();
      clock.advance(1000);
      return cid;
    };
    const old = await pin('old');
    ledger.register('demo.web3', old.bytes);
    const next = await pin('next');
    await keeper.sweep();
    clock.advance(SUPERSEDED_ROOT_MILLIS * 2);
    await keeper.sweep();
    // Published and not yet on chain: both stay.
    expect(store.pins()).toHaveLength(2);
    ledger.register('demo.web3', next.bytes);
    await keeper.sweep();
    expect(store.has(old)).toBe(true);
    clock.advance(SUPERSEDED_ROOT_MILLIS);
    await keeper.sweep();
    expect(store.has(old)).toBe(false);
    expect(store.has(next)).toBe(true);
    // Never put on chain: gone after a day. A ledger that fails costs nothing.
    const never = await pin('never');
    await createPinKeeper({ store, clock, ledger: { name: () => Promise.reject(new Error('down')) } }).sweep();
    clock.advance(ORPHAN_BLOCK_MILLIS);
    await keeper.sweep();
    expect(store.has(never)).toBe(false);
    expect(store.has(next)).toBe(true);
  });

  it('an earlier version that is published again is the newest one', async () => {
    const clock = new TestClock();
    const ledger = new NameBook();
    const store = await temporaryStore(cleanup, { clock });
    const keeper = createPinKeeper({ store, ledger, clock });
    const one = rawBlock('one');
    const two = rawBlock('two');
    const session = store.begin();
    for (const { cid, block } of [one, two, one]) {
      await session.put(cid, block);
      await session.pin('demo.web3', cid);
      clock.advance(1000);
    }
    ledger.register('demo.web3', two.cid.bytes);
    await keeper.sweep();
    clock.advance(SUPERSEDED_ROOT_MILLIS);
    await keeper.sweep();
    expect(store.pins('demo.web3').map(({ root }) => root.toString())).toEqual([
      two.cid.toString(),
      one.cid.toString(),
    ]);
    await session.close();
  });
});
