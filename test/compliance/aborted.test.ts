/** How whatever takes a signal and has no suite of its own ends with it: nodes, their ledger, sites and marketplaces. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { z } from 'zod';
import { openMarketNetwork } from '../../app/market/network.ts';
import { MarketProcess, runCommand } from '../../app/market/process.ts';
import { openNode, type RunningNode } from '../../app/node/index.ts';
import { publish, type PublishSettings } from '../../app/roles/publisher.ts';
import { importToHost } from '../../app/roles/host-import.ts';
import { describeMap, packMap } from '../../sites/map/index.ts';
import { openSiteCar } from '../../app/roles/site-car.ts';
import { exportFetched, exportKept } from '../../app/roles/site-export.ts';
import { repair } from '../../app/roles/site-repair.ts';
import { verify } from '../../app/roles/site-verify.ts';
import { staggered } from '../../app/roles/staggered.ts';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { silentLog } from '../../core/ports.ts';
import { amount } from '../../core/units.ts';
import { closeChannels } from '../../ledger/channel/index.ts';
import type { ChannelState, PreparedTransaction } from '../../ledger/contract.ts';
import { createWatchtower } from '../../ledger/settlement/index.ts';
import { Patience } from '../../ledger/settlement/patience.ts';
import { createCircuitPool, type CircuitPool } from '../../node/tunnel/index.ts';
import { CONTENT_SERVICE, type BlockReader, type BlockStore } from '../../sites/blocks/index.ts';
import { Pace, ReadersAhead } from '../../sites/gateway/paced.ts';
import { Turns } from '../../sites/gateway/turns.ts';
import { bringIn, challenge, listBlocks } from '../../sites/keeping/index.ts';
import { publishSite } from '../../sites/publish/index.ts';
import { createContentSource } from '../../sites/serve/index.ts';
import { SharedSearch } from '../../sites/serve/patience.ts';
import {
  follow,
  importPath,
  importSite,
  openNode as openSiteNode,
  publishableFiles,
  readFile,
} from '../../sites/unixfs/index.ts';
import { memoryPair } from '../../node/transport/memory.ts';
import { Cleanup, rawBlock, temporaryStore, wallet as publisherOf } from '../sites/kit.ts';
import { abortedBefore, abortedInside, type Waiting } from './traits.ts';

interface Ground {
  readonly testnet: Testnet;
  readonly node: RunningNode;
  readonly pool: CircuitPool;
  /** To nobody: its peers never answer. */
  readonly stuck: CircuitPool;
  readonly store: BlockStore;
  /** Of a site with one page. */
  readonly folder: string;
  readonly publishing: PublishSettings;
}

const cleanup = new Cleanup();
const never = new Promise<never>(() => {});
const block = rawBlock('a page');
let ground: Ground;

beforeAll(async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-aborted-'));
  cleanup.add(() => rm(folder, { recursive: true, force: true }));
  await writeFile(path.join(folder, 'index.html'), 'a page');
  const testnet = await createTestnet({ relays: 1 });
  cleanup.add(() => testnet[Symbol.asyncDispose]());
  const { node } = testnet.gateway;
  const options = { nodeId: node.keys.identity.nodeId, offers: node.discovery.book, service: CONTENT_SERVICE };
  const [pool, stuck] = [node.circuits, { ...node.circuits, createCircuit: () => never }].map((endpoint) =>
    createCircuitPool({ ...options, endpoint }),
  ) as [CircuitPool, CircuitPool];
  cleanup.add(() => Promise.all([pool.close(), stuck.close()]));
  await pool.buildTunnels(0);
  stuck.buildTunnels(0).catch(() => {});
  ground = {
    testnet,
    node,
    pool,
    stuck,
    store: await temporaryStore(cleanup),
    folder,
    publishing: {
      directory: folder,
      name: 'aborted.web3',
      royaltyBps: 0,
      years: 1,
      hosts: [],
      replicas: 1,
      relays: 0,
      signal: new AbortController().signal,
      onImport: () => {},
      onUpload: () => {},
      onRegistration: () => {},
    },
  };
});
afterAll(() => cleanup.run());

const site = { name: 'aborted.web3', root: block.cid };
const asking = { name: site.name, hosts: [], replicas: 1, samples: 1, relays: 0, waitMillis: 60_000 };
const channel = { closeAt: 1n } as ChannelState;
const unsent: PreparedTransaction = { signature: '1'.repeat(64), wire: new Uint8Array(1), lastValidBlockHeight: 1n };
const child = (signal: AbortSignal): ConstructorParameters<typeof MarketProcess>[0] => ({
  label: 'child',
  args: () => [],
  log: silentLog,
  onLogLine: () => {},
  signal,
});
const oneTurn = { most: 1, mostWaiting: 1, waitMillis: 60_000 };
const paced = (blocks: BlockReader, ahead = new ReadersAhead()): BlockReader =>
  new Pace(new ServerResponse(new IncomingMessage(new Socket())), ahead, () => 0).of(blocks);
const schema = z.looseObject({ event: z.string() });

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

abortedBefore(() => ground, {
  // a node
  openNode: ({ node }, signal) => openNode(node.settings, signal),
  'a node: announce': ({ node }, signal) => node.announce(signal),
  'links: listen': ({ node }, signal) => node.links.listen(['/memory/aborted'], { signal }),
  'links: connect': ({ node, testnet: { hosts } }, signal) =>
    node.links.connect(hosts[0]?.node.keys.identity.nodeId ?? node.keys.identity.nodeId, [], { signal }),
  'a link: ping': ({ node }, signal) => node.links.links()[0]?.ping(signal) ?? never,
  'discovery: refresh': ({ node }, signal) => node.discovery.refresh(signal),
  createCircuit: ({ node }, signal) =>
    node.circuits.createCircuit(node.discovery.book.find(CONTENT_SERVICE), { service: CONTENT_SERVICE, signal }),
  'a pool: buildTunnels': ({ pool }, signal) => pool.buildTunnels(0, { signal }),
  'a pool: circuit': ({ pool }, signal) => pool.circuit({ signal }),
  'channels: closeAll': ({ node }, signal) =>
    closeChannels([channel], { reader: node.ledger, wallet: node.wallet, signal }),
  // its ledger
  'a wallet: confirm': ({ node }, signal) => node.wallet.confirm(unsent, signal),
  'a wallet: registerName': ({ node }, signal) =>
    node.wallet.registerName({ name: 'aborted.web3', root: new Uint8Array(0), royaltyBps: 0 }, { signal }),
  'settlement: settleAll': ({ node }, signal) => node.settlement.settleAll(signal),
  'settlement: withdraw': ({ node }, signal) => node.settlement.withdraw(signal),
  'settlement: plan': ({ node }, signal) => node.settlement.plan(signal),
  'a watchtower: look': ({ node }, signal) =>
    createWatchtower({
      wallet: node.wallet,
      reader: node.ledger,
      program: node.wallet.address,
      files: [],
    }).look(signal),
  // sites
  'a content source: open': (_ground, signal) => createContentSource({ route: () => never }).open(site, { signal }),
  publishSite: ({ node, store }, signal) =>
    publishSite({
      openStream: async () => memoryPair()[0],
      host: node.keys.identity.nodeId,
      store,
      ...site,
      publisher: publisherOf(1),
      signal,
    }),
  publishableFiles: ({ folder }, signal) => all(publishableFiles(folder, { signal })),
  importPath: ({ folder }, signal) => importPath(folder, { put: async () => {} }, { signal }),
  importSite: ({ folder, store }, signal) => importSite(store, 'aborted.web3', folder, { signal }),
  describeMap: ({ folder }, signal) => describeMap(folder, signal),
  packMap: ({ folder }, signal) => packMap(folder, path.join(folder, 'none.pmtiles'), { signal }),
  follow: ({ store }, signal) => follow(store, block.cid, ['index.html'], { signal }),
  'a page': ({ store }, signal) => openSiteNode(store, block.cid, { signal }),
  'the bytes of a page that is here': ({ store }, signal) => {
    const page = { type: 'file', cid: block.cid, size: block.block.length, block: block.block } as const;
    return all(readFile(store, page, undefined, { signal }));
  },
  listBlocks: ({ store }, signal) => listBlocks(store, block.cid, { signal }),
  bringIn: ({ store }, signal) => bringIn(store, site, store, { signal }),
  challenge: ({ store }, signal) => challenge({ host: store, blocks: [block.cid], waitMillis: 60_000, signal }),
  verify: ({ node }, signal) => verify(node, { ...asking, signal }),
  repair: ({ node }, signal) => repair(node, { ...asking, onUpload: () => {}, signal }),
  openSiteCar: ({ folder }, signal) => openSiteCar(path.join(folder, 'none.car'), { signal }),
  importToHost: ({ node, folder }, signal) => {
    const quotas = { quota: undefined, quotaPerName: undefined };
    const file = path.join(folder, 'none.car');
    const { ledger } = node;
    return importToHost({
      dataDir: folder,
      name: site.name,
      from: { file },
      ...quotas,
      ledger,
      signal,
      log: silentLog,
    });
  },
  exportKept: ({ node, folder }, signal) =>
    exportKept({ ...site, file: path.join(folder, 'out.car'), signal }, node.settings),
  exportFetched: ({ node, folder }, signal) =>
    exportFetched(node, { ...site, file: path.join(folder, 'out.car'), signal }, { hosts: [], relays: 0 }),
  'a turn': (_ground, signal) => new Turns(oneTurn).begin('client', signal),
  'paced blocks': ({ store }, signal) => paced(store).get(block.cid, { signal }),
  'a search': (_ground, signal) => new SharedSearch(() => never, new AbortController().signal).wait(signal),
  publish: ({ node, publishing }, signal) => publish(node, { ...publishing, signal }),
  staggered: (_ground, signal) => staggered(['a'], () => never, { millis: () => 60_000, signal }),
  // a marketplace
  'a process of a marketplace': (_ground, signal) => new MarketProcess(child(signal), schema).start(),
  runCommand: (_ground, signal) => runCommand(child(signal), schema, 'done'),
  openMarketNetwork: (_ground, signal) =>
    openMarketNetwork({ transport: 'tcp', log: silentLog, signal, onProgress: () => {} }),
});

/** The ledger that never answers. */
const silentLedger = { bank: () => never, channels: () => never, till: () => never };

abortedInside(() => ground, {
  'discovery: refresh': ({ node }, signal) => ({ work: node.discovery.refresh(signal) }),
  'a pool: buildTunnels': ({ stuck }, signal) => ({ work: stuck.buildTunnels(0, { signal }) }),
  'a pool: circuit': ({ stuck }, signal) => ({ work: stuck.circuit({ signal }) }),
  'channels: closeAll, before the bank is read': ({ node }, signal) => ({
    work: closeChannels([channel], { reader: silentLedger, wallet: node.wallet, signal }),
  }),
  'channels: closeAll, in the challenge period': ({ node }, signal): Waiting => {
    let asked = (): void => {};
    const begun = new Promise<void>((resolve) => (asked = resolve));
    const later = {
      ...channel,
      closeAt: BigInt(Math.ceil(Date.now() / 1000) + 5),
      opening: amount(1n),
    } as ChannelState;
    const reader = {
      bank: () => node.ledger.bank(),
      channels: async () => {
        asked();
        return [later];
      },
    };
    return { work: closeChannels([later], { reader, wallet: node.wallet, patienceSeconds: 10n ** 9n, signal }), begun };
  },
  'a settlement that waits for the ledger': (_ground, signal) => ({
    work: new Patience({ retryMillis: 60_000, attempts: 2 }).retried(signal, silentLedger.till),
  }),
  'a wallet: confirm': ({ node }, signal) => ({ work: node.wallet.confirm(unsent, signal) }),
  publishSite: ({ node, store }, signal) => ({
    work: publishSite({
      openStream: async () => memoryPair()[0],
      host: node.keys.identity.nodeId,
      store,
      ...site,
      publisher: publisherOf(1),
      signal,
    }),
  }),
  importPath: ({ folder }, signal) => ({ work: importPath(folder, { put: async () => {} }, { signal }) }),
  publishableFiles: ({ folder }, signal) => ({ work: all(publishableFiles(folder, { signal })) }),
  'a turn': (_ground, signal) => {
    const turns = new Turns(oneTurn);
    void turns.begin('client', new AbortController().signal);
    return { work: turns.begin('client', signal) };
  },
  'paced blocks': (_ground, signal) => {
    const ahead = new ReadersAhead();
    while (ahead.take() !== undefined);
    const blocks = paced({ get: () => never }, ahead);
    void blocks.get(block.cid);
    return { work: blocks.get(block.cid, { signal }) };
  },
  'a search': (_ground, signal) => ({
    work: new SharedSearch(() => never, new AbortController().signal).wait(signal),
  }),
  staggered: (_ground, signal) => ({
    work: staggered(['a', 'b'], () => never, { millis: () => 60_000, signal }),
  }),
});
