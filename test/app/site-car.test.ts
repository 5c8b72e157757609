/** Sites as CAR files: out of a data folder or from hosts, in again, and files that are not what they should be. */
import { randomBytes } from 'node:crypto';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CarBufferWriter } from '@ipld/car';
import * as dagPb from '@ipld/dag-pb';
import { CID } from 'multiformats/cid';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { host as hostRole } from '../../app/roles/index.ts';
import { importToHost } from '../../app/roles/host-import.ts';
import { publish } from '../../app/roles/publisher.ts';
import { openSiteCar } from '../../app/roles/site-car.ts';
import { exportFetched, exportKept, type ExportParts } from '../../app/roles/site-export.ts';
import { verify } from '../../app/roles/site-verify.ts';
import { packSite } from '../../app/site/pack.ts';
import { createTestnet, type Testnet, type TestnetNode } from '../../app/testnet/index.ts';
import type { RunningNode } from '../../app/node/index.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_CAR_HEADER_BYTES } from '../../core/limits.ts';
import { silentLog } from '../../core/ports.ts';
import { bytes } from '../../core/units.ts';
import { openBlockStore } from '../../sites/blocks/index.ts';
import { openCar } from '../../sites/car/index.ts';
import { Cleanup, blockFile, rawBlock, temporaryFolder } from '../sites/kit.ts';
import { visit } from './visitor.ts';
import { publisherRole } from './publisher.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
let testnet: Testnet;
beforeAll(async () => {
  testnet = await createTestnet({ relays: 1, hosts: 0 });
});
afterAll(async () => {
  await testnet[Symbol.asyncDispose]();
  await cleanup.run();
});

let folder: string;
let scratch: string;
let name: string;
let number = 0;
const hosts: TestnetNode[] = [];
beforeEach(async () => {
  number += 1;
  name = `car${number}.web3`;
  folder = await temporaryFolder(cleanup);
  scratch = await temporaryFolder(cleanup);
  await writeFile(path.join(folder, 'index.html'), `<!doctype html><title>${name}</title>`);
  await writeFile(path.join(folder, 'big.bin'), randomBytes(2_500_000));
});
afterEach(async () => {
  for (const host of hosts.splice(0)) await host[Symbol.asyncDispose]();
});

async function asPublisher<T>(work: (node: RunningNode) => Promise<T>, label = 'publisher'): Promise<T> {
  await using opened = await testnet.open(publisherRole, label);
  return await work(opened.node);
}

async function open(label = `host-${number}`): Promise<TestnetNode> {
  const host = await testnet.open(hostRole, label);
  hosts.push(host);
  return host;
}

async function stop(host: TestnetNode): Promise<void> {
  hosts.splice(hosts.indexOf(host), 1);
  await host[Symbol.asyncDispose]();
}

async function published(car?: string) {
  await using opened = car === undefined ? undefined : await openSiteCar(car, { signal });
  const settings = { directory: folder, name, royaltyBps: 2_000, years: 1, hosts: [], replicas: 1, relays: 0, signal };
  const silent = { onImport: () => {}, onUpload: () => {}, onRegistration: () => {} };
  return await asPublisher((node) => publish(node, { ...settings, ...silent, ...(opened && { car: opened }) }));
}

async function packed(): Promise<{ file: string; cid: string }> {
  const file = path.join(scratch, 'packed.car');
  const { root } = await packSite({ folder, file, signal });
  return { file, cid: root.toString() };
}

function partsOf(cid: string): ExportParts {
  return { name, root: CID.parse(cid), file: path.join(scratch, 'out.car'), signal };
}

type Blocks = readonly { readonly cid: CID; readonly bytes: Uint8Array }[];

async function blocksIn(file: string): Promise<{ roots: readonly CID[]; blocks: Blocks }> {
  const { CarReader } = await import('@ipld/car');
  const reader = await CarReader.fromBytes(await readFile(file));
  const blocks: { cid: CID; bytes: Uint8Array }[] = [];
  for await (const block of reader.blocks()) blocks.push({ cid: block.cid, bytes: block.bytes });
  return { roots: await reader.getRoots(), blocks };
}

async function written(roots: readonly CID[], blocks: Blocks): Promise<string> {
  const file = path.join(scratch, 'made.car');
  const writer = CarBufferWriter.createWriter(new ArrayBuffer(4_000_000), { roots: [...roots], headerSize: 4_000 });
  for (const block of blocks) writer.write(block);
  await writeFile(file, writer.close({ resize: true }));
  return file;
}

describe('a site that is exported', () => {
  it('is the file that pack makes, from the data folder of its publisher and of a host, and from hosts', async () => {
    const host = await open();
    const { cid } = await published();
    const same = await readFile((await packed()).file);
    const parts = partsOf(cid);
    const fromFolder = await asPublisher(({ settings }) => exportKept(parts, settings));
    expect(fromFolder).toMatchObject({ cid, from: 'data folder', cost: '0', size: same.length });
    expect((await readFile(parts.file)).equals(same)).toBe(true);

    await rm(parts.file);
    const ask = { hosts: [], relays: 0 };
    const fetched = await asPublisher((node) => exportFetched(node, parts, ask), 'a-stranger');
    expect(fetched).toMatchObject({ cid, from: 'hosts', blocks: fromFolder?.blocks });
    expect(BigInt(fetched.cost)).toBeGreaterThan(0n);
    expect((await readFile(parts.file)).equals(same)).toBe(true);

    await rm(parts.file);
    const { dataDir } = host.node.settings;
    await expect(exportKept(parts, { dataDir, log: silentLog })).rejects.toMatchObject({ code: 'FILE_IN_USE' });
    await stop(host);
    expect(await exportKept(parts, { dataDir, log: silentLog })).toMatchObject({ from: 'data folder' });
    expect((await readFile(parts.file)).equals(same)).toBe(true);
    expect(await exportKept(parts, { dataDir: scratch, log: silentLog })).toBeUndefined();
  });

  it('leaves the file that was there, and nothing beside it, when no host delivers all', async () => {
    const host = await open();
    const { cid } = await published();
    const { file, cid: same } = await packed();
    expect(same).toBe(cid);
    const { blocks } = await blocksIn(file);
    const leaf = blocks.at(-1)?.cid ?? CID.parse(cid);
    await rm(blockFile(path.join(host.node.settings.dataDir, 'content'), leaf));
    const parts = partsOf(cid);
    await writeFile(parts.file, 'what was there');
    const before = await readdir(scratch);
    const fetching = asPublisher((node) => exportFetched(node, parts, { hosts: [], relays: 0 }), 'a-stranger');
    await expect(fetching).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    expect(String(await readFile(parts.file))).toBe('what was there');
    expect(await readdir(scratch)).toEqual(before);
  });

  it('needs a host that says it keeps the name', async () => {
    const { cid } = await packed();
    const fetching = asPublisher((node) => exportFetched(node, partsOf(cid), { hosts: [], relays: 0 }));
    await expect(fetching).rejects.toMatchObject({ code: 'NO_ROUTE' });
  });
});

describe('a CAR file that is published', () => {
  it('is the site that it was made of', async () => {
    await open();
    const { file, cid } = await packed();
    const said = await published(file);
    expect(said).toMatchObject({ cid, files: 2, record: 'registered', skipped: [], changed: [] });
    expect(said.bytes).toBe(2_500_000 + `<!doctype html><title>${name}</title>`.length);
    expect(String((await visit(testnet.url, name)).body)).toContain(name);
    // The folder gives the same blocks: nothing is sent again.
    expect(await published()).toMatchObject({ cid, sentBlocks: 0, record: 'unchanged' });
  });

  it('mends what a host lost from the file', async () => {
    const host = await open();
    const { file } = await packed();
    await published(file);
    const { blocks } = await blocksIn(file);
    const leaf = blocks.at(-1)?.cid ?? rawBlock('').cid;
    await asPublisher(({ settings: { dataDir } }) => rm(blockFile(path.join(dataDir, 'content'), leaf)));
    await rm(blockFile(path.join(host.node.settings.dataDir, 'content'), leaf));
    expect(await published(file)).toMatchObject({ sentBlocks: 1, record: 'unchanged' });
  });
});

describe('a CAR file that is not right', () => {
  const told = async (file: string): Promise<string> => {
    const failure: unknown = await openSiteCar(file, { signal }).catch((error: unknown) => error);
    return failure instanceof RelaymintError ? `${failure.code}: ${failure.message.replaceAll(scratch, '')}` : 'taken';
  };

  it('is refused for several roots, which are named, and for none', async () => {
    const { roots, blocks } = await blocksIn((await packed()).file);
    const other = rawBlock('other');
    const two = await written([...roots, other.cid], [...blocks, { cid: other.cid, bytes: other.block }]);
    expect(await told(two)).toBe(
      `CONTENT_REFUSED: /made.car has 2 roots: ${String(roots[0])}, ${other.cid.toString()}. A name points to one: write a CAR file for each.`,
    );
    expect(await told(await written([], blocks))).toContain('CONTENT_REFUSED: /made.car names no root.');
  });

  it('is refused for a block that is missing, at any depth', async () => {
    const { roots, blocks } = await blocksIn((await packed()).file);
    for (const [at, { cid }] of blocks.entries()) {
      const file = await written(roots, blocks.toSpliced(at, 1));
      expect(await told(file)).toContain(`CONTENT_NOT_FOUND: /made.car lacks the block ${cid.toString()}`);
    }
  });

  it('is refused for a block that is not what its CID says, also a last one of a file', async () => {
    const { roots, blocks } = await blocksIn((await packed()).file);
    for (const [at, { cid, bytes: block }] of blocks.entries()) {
      const changed = Uint8Array.from(block);
      changed[0] = (changed[0] ?? 0) ^ 1;
      const file = await written(roots, blocks.with(at, { cid, bytes: changed }));
      expect(await told(file)).toContain(`CONTENT_CORRUPT: In /made.car, ${cid.toString()} is not the block`);
    }
  });

  it('is refused for what is no UnixFS, below a folder too', async () => {
    const dagCbor = CID.createV1(0x71, rawBlock('cbor').cid.multihash);
    expect(await told(await written([dagCbor], [{ cid: dagCbor, bytes: rawBlock('cbor').block }]))).toContain(
      'is not UnixFS content',
    );
    const node = rawBlock(
      dagPb.encode(dagPb.prepare({ Data: Uint8Array.of(8, 1), Links: [{ Name: 'a', Hash: dagCbor }] })),
    );
    const parent = CID.createV1(dagPb.code, node.cid.multihash);
    expect(await told(await written([parent], [{ cid: parent, bytes: node.block }]))).toContain(
      'is not UnixFS content',
    );
  });

  it.each(['..', '.', '', 'a/b', '../../etc/passwd'])('is refused for an entry that is called "%s"', async (called) => {
    const leaf = rawBlock('leaf');
    const folderOf = (Name: string, Hash: CID): { readonly cid: CID; readonly bytes: Uint8Array } => {
      const bytes = dagPb.encode(dagPb.prepare({ Data: Uint8Array.of(8, 1), Links: [{ Name, Hash }] }));
      return { cid: CID.createV1(dagPb.code, rawBlock(bytes).cid.multihash), bytes };
    };
    const inner = folderOf(called, leaf.cid);
    const outer = folderOf('docs', inner.cid);
    const file = await written([outer.cid], [outer, inner, { cid: leaf.cid, bytes: leaf.block }]);
    expect(await told(file)).toContain(
      `CONTENT_REFUSED: A folder has an entry "${called}", to which no address leads.`,
    );
  });

  it('is refused for folders that name the same folder so often that nobody can walk all paths', async () => {
    let below = rawBlock('leaf');
    let cid = below.cid;
    const blocks = [{ cid, bytes: below.block }];
    for (let level = 0; level < 8; level += 1) {
      const links = Array.from({ length: 200 }, (_none, at) => ({ Name: String(at).padStart(3, '0'), Hash: cid }));
      below = rawBlock(dagPb.encode(dagPb.prepare({ Data: Uint8Array.of(8, 1), Links: links })));
      cid = CID.createV1(dagPb.code, below.cid.multihash);
      blocks.push({ cid, bytes: below.block });
    }
    expect(await told(await written([cid], blocks))).toContain('CONTENT_REFUSED');
    const [parent] = blocks.slice(2);
    await using car = await openSiteCar(await written([parent?.cid ?? cid], blocks));
    expect([car.files, car.bytes]).toEqual([40_000, 160_000]);
  });

  it('is refused before a huge header is read, also one in a CARv2', async () => {
    const huge = path.join(scratch, 'huge.car');
    // 2^40 bytes, as a varint.
    const length = Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x20);
    await writeFile(huge, Buffer.concat([length, randomBytes(1000)]));
    expect(await told(huge)).toContain('CONTENT_REFUSED: /huge.car has a header of');
    const second = Buffer.alloc(11 + 40 + 1000);
    second.set([0x0a, 0xa1, 0x67, 0x76, 0x65, 0x72, 0x73, 0x69, 0x6f, 0x6e, 0x02]);
    second.writeBigUInt64LE(51n, 27);
    second.writeBigUInt64LE(1000n, 35);
    second.set(length, 51);
    await writeFile(huge, second);
    expect(await told(huge)).toContain('CONTENT_REFUSED: /huge.car has a header of');
    const roots = Array.from({ length: 60 }, (_none, at) => rawBlock(`root ${at}`).cid);
    await using car = await openCar(await written(roots, []));
    expect([car.roots.length, MAX_CAR_HEADER_BYTES]).toEqual([60, 65_536]);
  });

  it('changes nothing: neither the publisher’s folder, nor a host’s', async () => {
    const { roots, blocks } = await blocksIn((await packed()).file);
    const file = await written(roots, blocks.slice(0, -1));
    const dataDir = path.join(scratch, 'data');
    const parts = { dataDir, name, from: { file }, quota: undefined, quotaPerName: undefined, signal, log: silentLog };
    const ledger = testnet.gateway.node.ledger;
    await expect(importToHost({ ...parts, ledger })).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    await expect(published(file)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    await expect(readdir(dataDir)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await ledger.name(name)).toBeUndefined();
  });
});

describe('a host that is given a CAR file', () => {
  it('serves it once it runs again', async () => {
    const first = await open();
    const { cid } = await published();
    await stop(first);
    const second = await open(`spare-${number}`);
    const { dataDir } = second.node.settings;
    const { file } = await packed();
    const parts = { dataDir, name, from: { file }, quota: undefined, quotaPerName: undefined, signal, log: silentLog };
    const { ledger } = testnet.gateway.node;
    await expect(importToHost({ ...parts, ledger })).rejects.toMatchObject({ code: 'FILE_IN_USE' });
    await stop(second);
    expect(await importToHost({ ...parts, ledger })).toMatchObject({ cid, files: 2, blocks: 6, current: true });
    const again = await open(`spare-${number}`);
    const said = await asPublisher((node) =>
      verify(node, {
        name,
        hosts: [again.node.keys.identity.nodeId],
        replicas: 1,
        samples: 10,
        relays: 0,
        waitMillis: 20_000,
        signal,
      }),
    );
    expect(said).toMatchObject({ keeping: 1, hosts: [{ result: 'keeps', delivered: 6 }] });
  });

  it('keeps to its quotas, and says when the name points elsewhere or the ledger is silent', async () => {
    const { file } = await packed();
    const dataDir = path.join(scratch, 'data');
    const parts = { dataDir, name, from: { file }, quota: undefined, quotaPerName: undefined, signal, log: silentLog };
    const { ledger } = testnet.gateway.node;
    const tight = importToHost({ ...parts, ledger, quotaPerName: bytes(1_000_000) });
    await expect(tight).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    await expect(readdir(dataDir)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(importToHost({ ...parts, ledger, quota: bytes(1_000_000) })).rejects.toMatchObject({
      code: 'STORAGE_FULL',
    });
    {
      await using store = await openBlockStore({ directory: path.join(dataDir, 'content') });
      expect(store.pins()).toEqual([]);
    }
    expect(await importToHost({ ...parts, ledger })).toMatchObject({ current: false });
    const down = { name: () => Promise.reject(new RelaymintError('LEDGER_UNREACHABLE', 'It does not answer.')) };
    expect(await importToHost({ ...parts, ledger: down })).toMatchObject({ current: null });
  });
});
