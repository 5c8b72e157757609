/** Real parts in a small space: temporary folders, sockets on loopback, a host with its store and services. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import * as Digest from 'multiformats/hashes/digest';
import { nodeId } from '../../core/ids.ts';
import type { LedgerAddress, NodeId } from '../../core/ids.ts';
import type { NameShare } from '../../core/attribution.ts';
import { ALL_BPS, unixMillis, unixSeconds } from '../../core/units.ts';
import type { Amount, UnixMillis } from '../../core/units.ts';
import { NO_CARRY } from '../../ledger/royalty.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import type { NameStatus } from '../../ledger/term.ts';
import { delegateFromSeed } from '../../ledger/receipt/index.ts';
import { blockKey, openBlockStore } from '../../sites/blocks/index.ts';
import { createContentService } from '../../sites/serve/index.ts';
import { importSite } from '../../sites/unixfs/index.ts';
import type { BlockStore, OpenStream, ServiceHandler } from '../../sites/blocks/index.ts';
import type { ContentRoute } from '../../sites/serve/index.ts';

/** Undoes what a test opened, last first. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = [];

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).toReversed()) await step();
  }
}

export async function temporaryFolder(cleanup: Cleanup): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'relaymint-sites-'));
  cleanup.add(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function writeTree(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

export async function temporaryStore(
  cleanup: Cleanup,
  options: Partial<Parameters<typeof openBlockStore>[0]> = {},
): Promise<BlockStore> {
  const store = await openBlockStore({ directory: await temporaryFolder(cleanup), ...options });
  cleanup.add(() => store.close());
  return store;
}

/** Imports a tree and has `store` keep it for the name beside what it keeps already, as a host does. */
export async function keepTree(
  cleanup: Cleanup,
  store: BlockStore,
  name: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<CID> {
  const [publisher, folder] = [await temporaryStore(cleanup), await temporaryFolder(cleanup)];
  await writeTree(folder, files);
  const { root } = await importSite(publisher, name, folder);
  const session = store.begin();
  for await (const cid of publisher.blocksOf(root)) await session.put(cid, await publisher.get(cid));
  await session.pin(name, root);
  await session.close();
  return root;
}

/** Where a store in this folder has the block. */
export function blockFile(directory: string, cid: CID): string {
  const key = blockKey(cid);
  return join(directory, 'blocks', key.slice(-2), `${key}.data`);
}

/** Changes one byte of it on disk; its length stays. */
export async function damageBlock(directory: string, cid: CID): Promise<void> {
  const file = blockFile(directory, cid);
  const block = await readFile(file);
  block.writeUInt8(block.readUInt8(0) ^ 1, 0);
  await writeFile(file, block);
}

export function rawBlock(content: Uint8Array | string): { readonly cid: CID; readonly block: Uint8Array } {
  const block = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const digest = Uint8Array.from(createHash('sha256').update(block).digest());
  return { cid: CID.createV1(raw.code, Digest.create(0x12, digest)), block };
}

/** Both ends of a TCP connection on loopback. */
export async function socketPair(cleanup: Cleanup): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const far = await accepted;
  server.close();
  near.on('error', () => undefined);
  far.on('error', () => undefined);
  cleanup.add(() => {
    near.destroy();
    far.destroy();
  });
  return [near, far];
}

export interface TestWallet {
  readonly address: LedgerAddress;
  sign(message: Uint8Array): Uint8Array;
}

export function wallet(seed: number): TestWallet {
  return delegateFromSeed(new Uint8Array(32).fill(seed));
}

/** The part of a ledger that sites read. */
export class NameBook {
  readonly records: Map<string, NameRecord> = new Map();
  questions: number = 0;

  async name(name: string): Promise<NameRecord | undefined> {
    this.questions += 1;
    return await Promise.resolve(this.records.get(name));
  }

  register(
    name: string,
    root: Uint8Array,
    owner: LedgerAddress = wallet(1).address,
    status: NameStatus = 'held',
  ): NameRecord {
    const before = this.records.get(name);
    const record: NameRecord = {
      name,
      address: owner,
      owner,
      manager: owner,
      registeredAt: unixSeconds(1_700_000_000n),
      expiresAt: unixSeconds(1_900_000_000n),
      status,
      seq: (before?.seq ?? 0n) + 1n,
      root,
      manifest: new Uint8Array(0),
      royaltyBps: 500,
      referrerBps: 0,
      splits: [],
      carry: NO_CARRY,
      accrued: 0n as Amount,
      lifetime: 0n as Amount,
      transfers: 0,
    };
    this.records.set(name, record);
    return record;
  }
}

export class TestClock {
  #now = 1_800_000_000_000;

  now(): UnixMillis {
    return unixMillis(this.#now);
  }

  advance(millis: number): void {
    this.#now += millis;
  }
}

export interface TestHost {
  readonly id: NodeId;
  readonly store: BlockStore;
  readonly route: ContentRoute;
  /** Names that what streams carried counted for, alone. */
  readonly names: string[];
  readonly streams: Duplex[];
}

/** The name for which all counts. */
export function aloneIn(shares: readonly NameShare[]): string {
  const [first, ...others] = shares;
  if (first?.share !== ALL_BPS || others.length > 0) throw new Error(`shares of several: ${JSON.stringify(shares)}`);
  return first.name;
}

/** A host reached over loopback sockets instead of circuits. `services` replaces the honest ones. */
export async function startHost(
  cleanup: Cleanup,
  services: Readonly<Record<string, ServiceHandler>> = {},
): Promise<TestHost> {
  const store = await temporaryStore(cleanup);
  const id = nodeId(randomBytes(32));
  const names: string[] = [];
  const streams: Duplex[] = [];
  const handlers: Record<string, ServiceHandler> = { content: createContentService({ store }), ...services };
  const openStream: OpenStream = async (service, params) => {
    const [near, far] = await socketPair(cleanup);
    streams.push(near);
    const handler = handlers[service];
    if (handler === undefined) throw new Error(`the test host has no service ${service}`);
    handler(Object.assign(far, { attribute: (shares: readonly NameShare[]) => names.push(aloneIn(shares)) }), params);
    return near;
  };
  return { id, store, names, streams, route: { host: id, isOpen: true, openStream } };
}
