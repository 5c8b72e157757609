/** What a publisher does to a site over its life: changes, goes back, takes it away; and what it is told. */
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CID } from 'multiformats/cid';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../app/node/index.ts';
import { host as hostRole } from '../../app/roles/index.ts';
import { openHost, type RunningHost } from '../../app/roles/hosting.ts';
import { publish, rollback, type RollbackSettings } from '../../app/roles/publisher.ts';
import { siteHistory, siteStatus, unpublish, type SiteHistory } from '../../app/roles/site-record.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import type { Published, RolledBack } from '../../app/market/index.ts';
import { silentLog } from '../../core/ports.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_PUBLISHER_ROOTS, SUPERSEDED_ROOT_MILLIS } from '../../core/limits.ts';
import { Cleanup, blockFile, damageBlock, rawBlock, temporaryFolder } from '../sites/kit.ts';
import { visit } from './visitor.ts';
import { publisherRole } from './publisher.ts';

const cleanup = new Cleanup();
const FILES = 400;
let testnet: Testnet;
beforeAll(async () => {
  testnet = await createTestnet();
});
afterAll(async () => {
  await testnet[Symbol.asyncDispose]();
  await cleanup.run();
});

let folder: string;
let name: string;
let sites = 0;
beforeEach(async () => {
  folder = await temporaryFolder(cleanup);
  sites += 1;
  name = `site${sites}.web3`;
  await version('one');
});

async function version(text: string): Promise<void> {
  await writeFile(path.join(folder, 'index.html'), `<!doctype html><title>${text}</title>`);
}

/** A publisher's node with one data folder for all sites of a label, run for one thing as a command does. */
async function asPublisher<T>(work: (node: RunningNode) => Promise<T>, label = 'publisher'): Promise<T> {
  await using opened = await testnet.open(publisherRole, label);
  return await work(opened.node);
}

const { signal } = new AbortController();
const delivery = { hosts: [], replicas: 1, relays: 0, signal, onUpload: () => {} };

function published(label?: string, hosts: readonly NodeId[] = []): Promise<Published> {
  const settings = { ...delivery, hosts, directory: folder, name, royaltyBps: 2_000, years: 1 };
  return asPublisher((node) => publish(node, { ...settings, onImport: () => {}, onRegistration: () => {} }), label);
}

function back(to?: RollbackSettings['to'], label?: string): Promise<RolledBack> {
  return asPublisher((node) => rollback(node, { ...delivery, name, to }), label);
}

function history(): Promise<SiteHistory> {
  return asPublisher(({ ledger, settings: { dataDir } }) => siteHistory({ name, dataDir, ledger, log: silentLog }));
}

async function brief(): Promise<string[]> {
  const { entries } = await history();
  return entries.map(
    ({ number, step, current, kept, transaction }) =>
      `${number} ${step}${current === true ? ' now' : ''}${kept === true ? '' : ' gone'}${transaction === null ? ' unconfirmed' : ''}`,
  );
}

async function shown(): Promise<string> {
  return String((await visit(testnet.url, name)).body);
}

async function rootOnChain(): Promise<string> {
  const record = await testnet.gateway.node.ledger.name(name);
  return CID.decode(record?.root ?? new Uint8Array()).toString();
}

describe('the first one', () => {
  it('waits for hosts that its node has not heard of yet', async () => {
    let [isHeard, waited] = [false, false];
    const { hosts } = await asPublisher((node) => {
      const { discovery } = node;
      const book: typeof discovery.book = Object.create(discovery.book, {
        get: { value: (id: NodeId) => (isHeard ? discovery.book.get(id) : undefined) },
        find: { value: (service: string) => (isHeard ? discovery.book.find(service) : []) },
      });
      const refresh = async (): Promise<number> => {
        // The first round after a start brings nothing, as it does where the link to the only peer has just broken.
        isHeard = waited;
        waited = true;
        return await Promise.resolve(0);
      };
      const unaware: RunningNode = Object.create(node, { discovery: { value: { book, refresh } } });
      const settings = { ...delivery, directory: folder, name, royaltyBps: 2_000, years: 1 };
      return publish(unaware, { ...settings, onImport: () => {}, onRegistration: () => {} });
    }, 'unaware');
    expect(hosts).toEqual([testnet.hosts[0]?.node.keys.identity.nodeId]);
  });

  it('asks for others when all that its node has heard of are gone', async () => {
    const leaving = await testnet.open(hostRole, 'leaving');
    const gone = leaving.node.keys.identity.nodeId;
    await leaving[Symbol.asyncDispose]();
    let questions = 0;
    const { hosts } = await asPublisher((node) => {
      const { discovery } = node;
      const isHeardOf = (id: NodeId): boolean => questions > 0 || id === gone;
      const book: typeof discovery.book = Object.create(discovery.book, {
        get: { value: (id: NodeId) => (isHeardOf(id) ? discovery.book.get(id) : undefined) },
        find: { value: (service: string) => discovery.book.find(service).filter(({ nodeId }) => isHeardOf(nodeId)) },
      });
      const refresh = (): Promise<number> => Promise.resolve((questions += 1));
      const unaware: RunningNode = Object.create(node, { discovery: { value: { book, refresh } } });
      const settings = { ...delivery, directory: folder, name, royaltyBps: 2_000, years: 1 };
      return publish(unaware, { ...settings, onImport: () => {}, onRegistration: () => {} });
    }, 'misled');
    expect({ hosts, questions }).toEqual({ hosts: [testnet.hosts[0]?.node.keys.identity.nodeId], questions: 1 });
  });
});

describe('an update', () => {
  it('of one file among many sends that file and the folders above it, and nothing else', async () => {
    await mkdir(path.join(folder, 'many'));
    for (let number = 0; number < FILES; number += 1) {
      await writeFile(path.join(folder, 'many', `${number}.txt`), `This is file ${number}. `.repeat(200));
    }
    const first = await published();
    expect(first).toMatchObject({ files: FILES + 1, readBytes: first.bytes, record: 'registered', changed: [] });
    expect(first.sentBytes).toBeGreaterThan(first.bytes);
    await version('two');
    const second = await published();
    const size = '<!doctype html><title>two</title>'.length;
    // The page, and the folder that it is in.
    expect(second).toMatchObject({ sentBlocks: 2, record: 'updated', bytes: first.bytes });
    expect(second.sentBytes).toBeLessThan(size + 300);
    expect(await published()).toMatchObject({ sentBlocks: 0, sentBytes: 0, record: 'unchanged' });
    // Each in the journal once: what changed nothing is no entry.
    expect(await brief()).toEqual(['2 updated now', '1 registered']);
  });

  it('has the host let go of what it replaced when the clock of the marketplace has moved', async () => {
    let hosting: RunningHost | undefined;
    const aging: typeof hostRole = {
      ...hostRole,
      start: async (node, own) => {
        const opened = await openHost(node, own);
        hosting = opened;
        return { describe: () => '', [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
      },
    };
    await using host = await testnet.open(aging, 'aging');
    const hosts = [host.node.keys.identity.nodeId];
    await published('publisher', hosts);
    await version('two');
    const { cid } = await published('publisher', hosts);
    const kept = (): string[] => hosting?.store.pins(name).map(({ root }) => root.toString()) ?? [];
    await hosting?.sweep();
    expect(kept()).toHaveLength(2);
    await testnet.advance(SUPERSEDED_ROOT_MILLIS / 1_000);
    await hosting?.sweep();
    expect(kept()).toEqual([cid]);
  });

  it('brings a host all that its disk lost, and what a damaged disk has left of the publisher too', async () => {
    const texts = Array.from({ length: 12 }, (_none, number) => `This is text ${number}.`);
    for (const [number, text] of texts.entries()) await writeFile(path.join(folder, `${number}.txt`), text);
    await published();
    const [host] = testnet.hosts;
    const disk = { publisher: '', host: path.join(host?.node.settings.dataDir ?? '', 'content') };
    await asPublisher(async ({ settings }) => {
      disk.publisher = path.join(settings.dataDir, 'content');
      await Promise.resolve();
    });
    const blocks = texts.map((text) => rawBlock(text).cid);
    for (const cid of blocks.slice(0, 8)) await rm(blockFile(disk.host, cid));
    // Of the right length: noticed when they are to be sent.
    for (const cid of blocks.slice(2, 5)) await damageBlock(disk.publisher, cid);
    expect(await published()).toMatchObject({ sentBlocks: 8, record: 'unchanged' });
    for (const [number, text] of texts.entries()) {
      expect(String((await visit(testnet.url, name, `/${number}.txt`)).body)).toBe(text);
    }
    expect(await published()).toMatchObject({ sentBlocks: 0 });
  });
});

describe('going back', () => {
  it('shows what was there before, once for each version, and forward again by number or by CID', async () => {
    const one = (await published()).cid;
    await version('two');
    const two = (await published()).cid;
    await version('three');
    const three = (await published()).cid;
    expect(await back()).toMatchObject({ cid: two, from: three, record: 'updated', sentBlocks: 0 });
    expect(await back()).toMatchObject({ cid: one, from: two });
    expect(await rootOnChain()).toBe(one);
    await expect(back()).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    expect(await back(3)).toMatchObject({ cid: three, from: one });
    expect(await back(CID.parse(two))).toMatchObject({ cid: two });
    expect(await back(2)).toMatchObject({ cid: two, record: 'unchanged' });
    expect(await brief()).toEqual([
      '7 rolled back now',
      '6 rolled back',
      '5 rolled back',
      '4 rolled back',
      '3 updated',
      '2 updated',
      '1 registered',
    ]);
    await testnet.advance(10);
    expect(await shown()).toContain('two');
  });

  it('brings content to a host that does not have it', async () => {
    const first = await published();
    await version('two');
    await published();
    // Another host: it has nothing of it.
    const other = await testnet.open(hostRole, `spare-${sites}`);
    const hosts = [other.node.keys.identity.nodeId];
    const result = await asPublisher((node) => rollback(node, { ...delivery, hosts, name }));
    expect(result).toMatchObject({ cid: first.cid, hosts, sentBlocks: 2 });
    await other[Symbol.asyncDispose]();
  });

  it('is refused for what was published elsewhere, for numbers that are not there, and for the names of others', async () => {
    const { cid } = await published();
    const foreign = CID.parse('bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi');
    await expect(back(foreign)).rejects.toMatchObject({
      code: 'CONTENT_NOT_FOUND',
      message: expect.stringContaining('was not published from this data folder') as string,
    });
    await expect(back(9)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    await expect(back(1, 'stranger')).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    await expect(published('stranger')).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    expect(await rootOnChain()).toBe(cid);
    name = 'nobodys.web3';
    await expect(back()).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
  });

  it(`reaches the last ${MAX_PUBLISHER_ROOTS} roots, and says that older ones are gone`, async () => {
    for (let number = 0; number <= MAX_PUBLISHER_ROOTS; number += 1) {
      await version(`version ${number}`);
      await published();
    }
    const kept = (await history()).entries.map(({ kept: here }) => here);
    expect(kept).toEqual([...Array.from({ length: MAX_PUBLISHER_ROOTS }, () => true), false]);
    await expect(back(1)).rejects.toMatchObject({
      message: expect.stringContaining('publish the folder as it was then again') as string,
    });
    expect(await back(2)).toMatchObject({ record: 'updated' });
  }, 60_000);
});

describe('taking a site away', () => {
  it('leaves the name, shows nothing, and can be undone', async () => {
    const { cid } = await published();
    const take = (label?: string): Promise<string | undefined> =>
      asPublisher(
        ({ ledger, wallet, settings: { dataDir } }) => unpublish({ name, ledger, wallet, dataDir, log: silentLog }),
        label,
      );
    await expect(take('stranger')).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    expect(await take()).toEqual(expect.any(String));
    expect(await take()).toBeUndefined();
    expect(await brief()).toEqual(['2 unpublished now gone', '1 registered']);
    await testnet.advance(10);
    expect((await visit(testnet.url, name)).status).toBe(404);
    expect(await back()).toMatchObject({ cid, record: 'updated' });
    await testnet.advance(10);
    expect(await shown()).toContain('one');
  });
});

describe('the status', () => {
  it('says where the name points, since when, whether it is the newest, and who keeps it', async () => {
    const ask = (): ReturnType<typeof siteStatus> => asPublisher((node) => siteStatus(node, name));
    expect(await ask()).toEqual({ name, registered: false, hosts: [] });
    const { cid, hosts } = await published();
    const before = await ask();
    expect(before).toMatchObject({ registered: true, ours: true, cid, isNewest: true, status: 'held' });
    expect(before.newest).toMatchObject({ number: 1, cid });
    expect(before.since).toBe(before.newest?.at);
    await testnet.hosts[0]?.node.advertise();
    expect((await ask()).hosts).toEqual(hosts);
    // Somebody with the same wallet changed it from elsewhere.
    await asPublisher(({ wallet }) => wallet.updateName(name, { root: CID.parse(cid).toV1().bytes.slice(0, 4) }));
    expect(await ask()).toMatchObject({ cid: 'not a CID', isNewest: false });
    expect((await asPublisher((node) => siteStatus(node, name), 'stranger')).ours).toBe(false);
  });
});

describe('the journal', () => {
  it('tells what was meant when the process died before the chain had it, and doing it again goes on', async () => {
    await published();
    await version('two');
    await expect(
      asPublisher(async (node) => {
        const dies = { ...node, wallet: { address: node.wallet.address, updateName: killed } };
        const settings = { ...delivery, directory: folder, name, royaltyBps: 0, years: 1 };
        return await publish(dies as unknown as RunningNode, {
          ...settings,
          onImport: () => {},
          onRegistration: () => {},
        });
      }),
    ).rejects.toThrow('killed');
    expect(await brief()).toEqual(['2 updated unconfirmed', '1 registered now']);
    expect(await published()).toMatchObject({ record: 'updated', sentBlocks: 0 });
    expect(await brief()).toEqual(['3 updated now', '2 updated unconfirmed', '1 registered']);
  });

  it('is read with a torn last line, and goes on after it', async () => {
    await published();
    const file = await asPublisher(({ settings: { dataDir } }) =>
      Promise.resolve(path.join(dataDir, 'content', 'published.jsonl')),
    );
    await appendFile(file, '{"name":"site');
    expect(await brief()).toEqual(['1 registered now']);
    await version('two');
    await published();
    expect(await brief()).toEqual(['2 updated now', '1 registered']);
  });
});

it('two at once in one data folder: one is refused, and the other goes on', async () => {
  const done = await Promise.allSettled([published(), published()]);
  expect(done.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect(done.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'FILE_IN_USE' } });
  expect(await brief()).toEqual(['1 registered now']);
});

function killed(): Promise<never> {
  return Promise.reject(new Error('killed'));
}
