/** A name with terms over its life: published, changed, gone back, taken away, given to somebody else. Real nodes, hosts and chain. */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CID } from 'multiformats/cid';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Published } from '../../app/market/index.ts';
import type { RunningNode } from '../../app/node/index.ts';
import { host as hostRole } from '../../app/roles/index.ts';
import { openHost, type RunningHost } from '../../app/roles/hosting.ts';
import { publish, rollback } from '../../app/roles/publisher.ts';
import { openSiteCar, type SiteCar } from '../../app/roles/site-car.ts';
import { siteStatus, unpublish } from '../../app/roles/site-record.ts';
import { packSite } from '../../app/site/index.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { SUPERSEDED_ROOT_MILLIS } from '../../core/limits.ts';
import { silentLog } from '../../core/ports.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { parseManifestFile } from '../../sites/manifest/index.ts';
import { headOf } from '../sites/media/heads.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { visit } from './visitor.ts';
import { publisherRole } from './publisher.ts';

const cleanup = new Cleanup();
const MANIFEST = '/.well-known/relaymint/manifest.json';
let testnet: Testnet;
let hosting: RunningHost | undefined;

let folder: string;
let name: string;
beforeEach(async () => {
  name = 'terms.web3';
  folder = await temporaryFolder(cleanup);
  await version('one');
  testnet = await createTestnet({ hosts: 0 });
  cleanup.add(() => testnet[Symbol.asyncDispose]());
  const seen: typeof hostRole = {
    ...hostRole,
    start: async (node, own) => {
      const opened = await openHost(node, own);
      hosting = opened;
      return { describe: () => '', [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
    },
  };
  await testnet.open(seen, 'keeper');
});
afterEach(() => cleanup.run());

async function version(text: string): Promise<void> {
  await writeFile(path.join(folder, 'index.html'), `<!doctype html><title>${text}</title>`);
}

async function as<T>(label: string, work: (node: RunningNode) => Promise<T>): Promise<T> {
  await using opened = await testnet.open(publisherRole, label);
  return await work(opened.node);
}

const { signal } = new AbortController();
const delivery = { hosts: [], replicas: 1, relays: 0, signal, onUpload: () => {} };

/** `file`: what the publisher writes; absent: no --manifest. */
function published(file?: object, label = 'publisher', car?: SiteCar): Promise<Published> {
  const terms = file && parseManifestFile(JSON.stringify(file), { file: 'terms.json', name });
  const settings = { ...delivery, directory: folder, name, royaltyBps: 2_000, years: 1, terms, ...(car && { car }) };
  return as(label, (node) => publish(node, { ...settings, onImport: () => {}, onRegistration: () => {} }));
}

async function record(): Promise<NameRecord> {
  const found = await testnet.gateway.node.ledger.name(name);
  if (found === undefined) throw new Error(`${name} is not registered`);
  return found;
}

/** What a visitor gets once the gateway asks the ledger again. */
async function shown(at = '/'): Promise<string> {
  await testnet.advance(10);
  const { status, body } = await visit(testnet.url, name, at);
  return `${status} ${body.toString()}`;
}

async function told(): Promise<Record<string, unknown>> {
  return JSON.parse((await shown(MANIFEST)).slice('200 '.length)) as Record<string, unknown>;
}

const TERMS = {
  creator: 'Ana Lima',
  title: 'One',
  licence: { payment: 'attribution' },
  royalty: '30%',
  referrer: '15%',
};

describe('a name with terms', () => {
  it('is published with them, and each update and rollback signs them for its root', async () => {
    const first = await published(TERMS);
    expect(first).toMatchObject({ record: 'registered', manifest: expect.any(String) as unknown });
    const registered = await record();
    expect(registered).toMatchObject({ royaltyBps: 3_000, referrerBps: 1_500 });
    expect(CID.decode(registered.manifest).toString()).toBe(first.manifest);
    expect(await shown()).toContain('<title>one</title>');
    expect(await told()).toMatchObject({
      cid: first.manifest,
      creator: 'Ana Lima',
      root: first.cid,
      royaltyBps: 3_000,
    });
    expect(await shown('/license.xml')).toContain('<payment type="attribution">');

    // Again, without a change: nothing is signed anew.
    expect(await published()).toMatchObject({ record: 'unchanged', manifest: first.manifest, sentBlocks: 0 });

    await version('two');
    const second = await published();
    expect(second).toMatchObject({ record: 'updated' });
    // Root and manifest in one change.
    expect((await record()).seq).toBe(registered.seq + 1n);
    expect(await shown()).toContain('<title>two</title>');
    expect(await told()).toMatchObject({ cid: second.manifest, title: 'One', root: second.cid });

    const back = await as('publisher', (node) => rollback(node, { ...delivery, name }));
    expect(back).toMatchObject({ cid: first.cid, record: 'updated' });
    expect(await shown()).toContain('<title>one</title>');
    expect(await told()).toMatchObject({ cid: back.manifest, title: 'One', root: first.cid });
  });

  it('has other terms when its file says so, the royalty on chain too', async () => {
    await published(TERMS);
    const before = await record();
    expect(await published({ ...TERMS, title: 'Two', royalty: '10%', referrer: '5%' })).toMatchObject({
      record: 'updated',
    });
    expect(await record()).toMatchObject({
      royaltyBps: 1_000,
      referrerBps: 500,
      seq: before.seq + 1n,
      root: before.root,
    });
    expect(await told()).toMatchObject({ title: 'Two', royaltyBps: 1_000 });
  });

  it('has its terms again when it was taken away and is published anew', async () => {
    await published(TERMS);
    await as('publisher', ({ ledger, wallet, settings: { dataDir } }) =>
      unpublish({ name, ledger, wallet, dataDir, log: silentLog }),
    );
    expect(await shown()).toMatch(/^404 /);
    await version('two');
    await published();
    expect(await told()).toMatchObject({ title: 'One' });
    expect(await shown()).toContain('<title>two</title>');
  });

  it('says in its status whether visitors take them', async () => {
    const ask = async (label = 'publisher'): Promise<unknown> =>
      (await as(label, (node) => siteStatus(node, name))).manifest;
    const { manifest: cid } = await published(TERMS);
    expect(await ask()).toEqual({ cid, good: true });
    expect(await ask('stranger')).toEqual({ cid, good: null });
    await as('publisher', ({ wallet }) => wallet.updateName(name, { royaltyBps: 1 }));
    expect(await ask()).toMatchObject({ cid, good: false, why: expect.stringContaining('royalty') as unknown });
    expect(await shown()).toContain('MANIFEST_INVALID');
    // Publishing states what the chain has.
    await published();
    expect(await ask()).toMatchObject({ good: true });
    expect(await shown()).toContain('<title>one</title>');
  });

  it('is kept by its hosts with them, and what was replaced goes', async () => {
    await published(TERMS);
    await version('two');
    const { cid, manifest } = await published();
    const kept = (): readonly string[] =>
      hosting?.store
        .pins(name)
        .map(({ root }) => root.toString())
        .toSorted() ?? [];
    expect(kept()).toHaveLength(4);
    await hosting?.sweep();
    testnet.clock.advance(SUPERSEDED_ROOT_MILLIS);
    await hosting?.sweep();
    expect(new Set(kept())).toEqual(new Set([cid, manifest]));
  });

  it('is not shown any more when it is given away, until its new owner publishes it', async () => {
    await published(TERMS);
    expect(await shown()).toContain('<title>one</title>');
    const heir = await as('heir', (node) => Promise.resolve(node.wallet.address));
    await as('publisher', ({ wallet }) => wallet.transferName(name, heir));
    expect(await shown()).toMatch(/^502 .*MANIFEST_INVALID/s);
    expect(await shown()).not.toContain('<title>one</title>');
    // Its terms are not the heir's to guess.
    await expect(published(undefined, 'heir')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('--manifest') as unknown,
    });
    await published({ creator: 'The heir' }, 'heir');
    expect(await shown()).toContain('<title>one</title>');
    expect(await told()).toMatchObject({ creator: 'The heir', owner: heir, royaltyBps: 3_000 });
  });
});

it('an image is published with terms only, and shown by them', async () => {
  name = 'cat.image';
  await expect(published()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await published({ creator: 'Ana', mediaType: 'image/png' });
  expect(await told()).toMatchObject({ kind: 'image', embedding: 'anybody' });
  expect(await shown()).toContain('<title>one</title>');
});

describe('a picture that is something else', () => {
  const PICTURE = { creator: 'Ana', mediaType: 'image/png' };

  it('is refused before anything is paid, in a folder as in a CAR file', async () => {
    name = 'cat.image';
    await writeFile(path.join(folder, 'a.png'), headOf('a.png'));
    await writeFile(path.join(folder, 'b.png'), '<!doctype html>not found');
    const refused = {
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('b.png is a page of HTML, and the manifest says image/png.') as unknown,
    };
    await expect(published(PICTURE)).rejects.toMatchObject(refused);
    const file = path.join(folder, '..', 'cat.car');
    await packSite({ folder, file, signal });
    cleanup.add(() => rm(file));
    await using car = await openSiteCar(file, { signal });
    await expect(published(PICTURE, 'publisher', car)).rejects.toMatchObject(refused);
    expect(await testnet.gateway.node.ledger.name(name)).toBeUndefined();
    // Nothing was bought, and no channel was opened.
    expect(hosting?.store.pins(name)).toEqual([]);
    await writeFile(path.join(folder, 'b.png'), headOf('a.png'));
    expect(await published(PICTURE)).toMatchObject({ record: 'registered', doubts: [] });

    // The terms are those of before.
    await writeFile(path.join(folder, 'c.png'), headOf('a.jpg'));
    await expect(published()).rejects.toMatchObject({
      message: expect.stringContaining('c.png is a JPEG image, and the manifest says image/png.') as unknown,
    });
  });

  it('is said and published where nobody declares it', async () => {
    await writeFile(path.join(folder, 'a.jpg'), headOf('a.webp'));
    await writeFile(path.join(folder, 'b.png'), headOf('a.png'));
    const { doubts } = await published();
    expect(doubts).toEqual([
      {
        path: 'a.jpg',
        message: 'It is named .jpg, but is a WebP image.',
        remedy: 'Name it as what it is, or convert it.',
      },
    ]);
  });
});
