/** Hosts that keep a site, hosts that only say so, and a site that is brought back to as many as are wanted. */
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CID } from 'multiformats/cid';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { host as hostRole, type Role } from '../../app/roles/index.ts';
import type { HostValues } from '../../app/roles/hosting.ts';
import { publish } from '../../app/roles/publisher.ts';
import { repair, type SiteRepaired } from '../../app/roles/site-repair.ts';
import { verify, type SiteVerified, type VerifySettings } from '../../app/roles/site-verify.ts';
import { staleText } from '../../cli/commands/name-text.ts';
import { createTestnet, type Testnet, type TestnetNode } from '../../app/testnet/index.ts';
import type { RunningNode } from '../../app/node/index.ts';
import type { Published } from '../../app/market/index.ts';
import type { NodeId } from '../../core/ids.ts';
import {
  CONTENT_SERVICE,
  PUBLISH_SERVICE,
  isDirectoryCodec,
  openBlockStore,
  type BlockStore,
} from '../../sites/blocks/index.ts';
import { createPublishService } from '../../sites/publish/index.ts';
import { createContentService } from '../../sites/serve/index.ts';
import { Cleanup, blockFile, temporaryFolder } from '../sites/kit.ts';
import { publisherRole } from './publisher.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
const FILES = 24;
let testnet: Testnet;
beforeAll(async () => {
  testnet = await createTestnet({ relays: 1, hosts: 0 });
});
afterAll(async () => {
  await testnet[Symbol.asyncDispose]();
  await cleanup.run();
});

let folder: string;
let name: string;
let number = 0;
const hosts: TestnetNode[] = [];
beforeEach(async () => {
  number += 1;
  name = `keep${number}.web3`;
  folder = await temporaryFolder(cleanup);
  await writeFile(path.join(folder, 'index.html'), `<!doctype html><title>${name}</title>`);
  for (let file = 0; file < FILES; file += 1) await writeFile(path.join(folder, `${file}.bin`), randomBytes(2_000));
});
afterEach(async () => {
  for (const host of hosts.splice(0)) await host[Symbol.asyncDispose]();
});

async function asPublisher<T>(work: (node: RunningNode) => Promise<T>, label = 'publisher'): Promise<T> {
  await using opened = await testnet.open(publisherRole, label);
  return await work(opened.node);
}

let opened = 0;
async function open(role: Role<HostValues> = hostRole): Promise<NodeId> {
  opened += 1;
  const host = await testnet.open(role, `host-${opened}`);
  hosts.push(host);
  return host.node.keys.identity.nodeId;
}

function published(to: readonly NodeId[]): Promise<Published> {
  const settings = { directory: folder, name, royaltyBps: 2_000, years: 1, hosts: to, replicas: to.length, relays: 0 };
  const silent = { onImport: () => {}, onUpload: () => {}, onRegistration: () => {} };
  return asPublisher((node) => publish(node, { ...settings, ...silent, signal }));
}

const asking = { hosts: [], replicas: 1, samples: 12, relays: 0, waitMillis: 20_000, signal };

function verified(more: Partial<VerifySettings> = {}, label?: string): Promise<SiteVerified> {
  return asPublisher((node) => verify(node, { ...asking, name, ...more }), label);
}

function repaired(more: Partial<VerifySettings> = {}): Promise<SiteRepaired> {
  return asPublisher((node) => repair(node, { ...asking, name, onUpload: () => {}, ...more }));
}

function results({ hosts: reports }: Pick<SiteVerified, 'hosts'>): Record<string, string> {
  return Object.fromEntries(reports.map(({ host, result }) => [host, result]));
}

/** A host that takes what it is brought, says that it keeps it, and does something else. */
function liar(name_: () => string, serve: (store: BlockStore) => BlockStore, takes = true): Role<HostValues> {
  return {
    ...hostRole,
    start: async (node, own) => {
      const store = await openBlockStore({ directory: path.join(node.settings.dataDir, 'content') });
      const told = node.keeping(() => [name_()]);
      node.serve(CONTENT_SERVICE, own.price, createContentService({ store: serve(store) }));
      if (takes) {
        const parts = { store, ledger: node.ledger, host: node.keys.identity.nodeId };
        const accept = { policy: 'open' as const };
        node.serve(PUBLISH_SERVICE, own.publishPrice, createPublishService({ ...parts, accept, onPinned: told }));
      }
      return { describe: () => '', [Symbol.asyncDispose]: () => store.close() };
    },
  };
}

/** The store as its host shows it to those who ask for blocks. */
function showing(store: BlockStore, shows: (cid: CID) => boolean, delay?: () => Promise<void>): BlockStore {
  return Object.create(store, {
    pins: { value: (of?: string) => store.pins(of) },
    pinsWith: { value: (of: string, cid: CID) => (shows(cid) ? store.pinsWith(of, cid) : []) },
    get: {
      value: async (cid: CID) => {
        await delay?.();
        return await store.get(cid);
      },
    },
  }) as BlockStore;
}

describe('publishing to fewer hosts than keep the name', () => {
  it('says which of them were not brought up to date', async () => {
    const [first, second] = [await open(), await open()];
    expect((await published([first, second])).stale).toEqual([]);
    await writeFile(path.join(folder, 'index.html'), 'anew');
    const updated = await published([first]);
    expect(updated).toMatchObject({ record: 'updated', stale: [second] });
    expect(staleText(name, updated)).toContain(`relaymint site repair ${name} --replicas 2`);
    expect(await published([first])).toMatchObject({ record: 'unchanged', stale: [] });
  });
});

describe('verifying', () => {
  it('tells hosts that keep a site from those that say so and have nothing, or only the folders', async () => {
    const honest = await open();
    const dropped = await open(
      liar(
        () => name,
        (store) => showing(store, isDirectoryCodec),
      ),
    );
    const boasting = await open(
      liar(
        () => name,
        (store) => store,
        false,
      ),
    );
    const { cid } = await published([honest, dropped]);
    const said = await verified({ replicas: 2 });
    expect(results(said)).toEqual({ [honest]: 'keeps', [dropped]: 'lacks', [boasting]: 'lacks' });
    expect(said).toMatchObject({ cid, keeping: 1, wanted: 2, list: 'data folder', blocks: FILES + 2, unread: 0 });
    const of = (host: string) => said.hosts.find((report) => report.host === host);
    // The root, and twelve of 26, among which it may be too.
    expect(of(honest)?.delivered).toBeGreaterThanOrEqual(12);
    expect(BigInt(of(honest)?.cost ?? 0)).toBeGreaterThan(0n);
    expect(of(dropped)).toMatchObject({ why: { code: 'CONTENT_NOT_FOUND' } });
    expect(of(boasting)).toMatchObject({ delivered: 0, leaving: true, why: { code: 'CONTENT_REFUSED' } });
  });

  it('needs no data folder that published it: others ask for the list first, and pay for little of the site', async () => {
    const honest = await open();
    const dropped = await open(
      liar(
        () => name,
        (store) => showing(store, isDirectoryCodec),
      ),
    );
    await published([honest, dropped]);
    const said = await verified({}, 'a-stranger');
    expect(results(said)).toEqual({ [honest]: 'keeps', [dropped]: 'lacks' });
    expect(said).toMatchObject({ list: 'hosts', blocks: FILES + 2, keeping: 1 });
  });

  it('finds the site gone where no host delivers its root, also without a list', async () => {
    const honest = await open();
    await published([honest]);
    await hosts.pop()?.[Symbol.asyncDispose]();
    const boasting = await open(
      liar(
        () => name,
        (store) => store,
        false,
      ),
    );
    expect(await verified({ hosts: [boasting] }, 'a-stranger')).toMatchObject({
      keeping: 0,
      blocks: 1,
      unread: 1,
      hosts: [{ result: 'lacks', delivered: 0 }],
    });
  });

  it('does not blame the hosts for an empty wallet', async () => {
    const honest = await open();
    await published([honest]);
    const poor = await testnet.open(publisherRole, 'poor', { airdrop: undefined });
    await using _closed = poor;
    await expect(verify(poor.node, { ...asking, name })).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
  });

  it('asks for the root in any case: without it nothing opens', async () => {
    const hidden = { root: '' };
    const headless = await open(
      liar(
        () => name,
        (store) => showing(store, (cid) => cid.toString() !== hidden.root),
      ),
    );
    hidden.root = (await published([headless])).cid;
    expect(await verified({ samples: 1 })).toMatchObject({ keeping: 0, hosts: [{ result: 'lacks' }] });
  });

  it('says of a host that delivers too slowly that it does not answer', async () => {
    const never = new Promise<void>(() => {});
    let delivered = 0;
    const slow = await open(
      liar(
        () => name,
        (store) =>
          showing(
            store,
            () => true,
            () => ((delivered += 1) > 2 ? never : Promise.resolve()),
          ),
      ),
    );
    await published([slow]);
    const said = await verified({ waitMillis: 1_500 });
    expect(said).toMatchObject({ keeping: 0, hosts: [{ result: 'silent', delivered: 2, why: { code: 'TIMEOUT' } }] });
  });

  it('says of a host that is gone that it does not answer', async () => {
    const honest = await open();
    await published([honest]);
    await asPublisher(async (node) => {
      await hosts.pop()?.[Symbol.asyncDispose]();
      const said = await verify(node, { ...asking, name, waitMillis: 3_000, hosts: [honest] });
      expect(said).toMatchObject({ keeping: 0, hosts: [{ result: 'silent', delivered: 0, cost: '0' }] });
    });
  });

  it('asks nobody about names that point to nothing', async () => {
    await expect(verified()).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
    await published([await open()]);
    await asPublisher(({ wallet }) => wallet.updateName(name, { root: new Uint8Array() }));
    await expect(verified()).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
  });
});

describe('repairing', () => {
  it('brings a site to as many hosts as are wanted, and does nothing where they have it', async () => {
    const first = await open();
    const { cid } = await published([first]);
    expect(await repaired()).toMatchObject({ keeping: [first], before: [first], source: null, sentBlocks: 0 });
    const spare = [await open(), await open()];
    const said = await repaired({ replicas: 2 });
    expect(said).toMatchObject({ cid, before: [first], source: 'data folder', sentBlocks: FILES + 2 });
    // One of the two, and no more than are wanted.
    expect(said.keeping).toHaveLength(2);
    expect([first, ...spare]).toEqual(expect.arrayContaining([...said.keeping]));
    expect(await verified({ replicas: 2 })).toMatchObject({ keeping: 2 });
  });

  it('sends a host only what it lost', async () => {
    const first = await open();
    const { cid } = await published([first]);
    const disk = path.join(hosts[0]?.node.settings.dataDir ?? '', 'content');
    const lost = await asPublisher(async ({ settings: { dataDir } }) => {
      await using store = await openBlockStore({ directory: path.join(dataDir, 'content') });
      const all: CID[] = [];
      for await (const block of store.blocksOf(CID.parse(cid))) if (!isDirectoryCodec(block)) all.push(block);
      return all.slice(0, 20);
    });
    for (const block of lost) await rm(blockFile(disk, block));
    expect(results(await verified())).toEqual({ [first]: 'lacks' });
    expect(await repaired()).toMatchObject({ before: [], keeping: [first], sentBlocks: 20 });
  });

  it('fetches from a host that passes what the data folder lost', async () => {
    const first = await open();
    await published([first]);
    await asPublisher(({ settings: { dataDir } }) => rm(path.join(dataDir, 'content'), { recursive: true }));
    const second = await open();
    const said = await repaired({ replicas: 2 });
    expect(said).toMatchObject({ keeping: [first, second], source: 'hosts', list: 'hosts', sentBlocks: FILES + 2 });
  });

  it('does not count a host that takes all and keeps nothing, and goes on to the next', async () => {
    const first = await open();
    await published([first]);
    const taking = await open(
      liar(
        () => name,
        (store) => showing(store, () => false),
      ),
    );
    const said = await repaired({ replicas: 2, hosts: [first, taking] });
    expect(said).toMatchObject({ keeping: [first] });
    expect(results(said)).toEqual({ [first]: 'keeps', [taking]: 'lacks' });
    const honest = await open();
    expect(await repaired({ replicas: 2 })).toMatchObject({ keeping: [first, honest] });
  });

  it('gives up, and changes nothing, where neither the data folder nor a host has it', async () => {
    const first = await open();
    await published([first]);
    await asPublisher(({ settings: { dataDir } }) => rm(path.join(dataDir, 'content'), { recursive: true }));
    await hosts.pop()?.[Symbol.asyncDispose]();
    const second = await open();
    await expect(repaired({ hosts: [second], waitMillis: 3_000 })).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    await expect(
      asPublisher((node) => repair(node, { ...asking, name, onUpload: () => {} }), 'a-stranger'),
    ).rejects.toMatchObject({ code: 'NAME_TAKEN' });
  });
});
