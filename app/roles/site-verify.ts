/** Whether the hosts of a site keep it: each is asked for blocks that are drawn at random, and pays with its word if it lacks one. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError, type ErrorCode } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_LISTING_BYTES, MAX_VERIFIED_HOSTS } from '../../core/limits.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import type { BlockStore } from '../../sites/blocks/index.ts';
import { challenge, listBlocks, sampleOf, type BlockList, type KeepingResult } from '../../sites/keeping/index.ts';
import { manifestCid } from '../../sites/manifest/index.ts';
import { rootOfRecord } from '../../sites/name/index.ts';
import type { RunningNode } from '../node/index.ts';
import { hasArchive, openArchive } from './archive.ts';
import { HostLine, fromAnyOf } from './host-line.ts';
import { isLeaving, keepersOf } from './keepers.ts';
import { nameUnknown } from './own-name.ts';

export interface VerifySettings {
  readonly name: string;
  /** Whom to ask; none: all whose offers say that they keep the name. */
  readonly hosts: readonly NodeId[];
  /** How many are to keep it. */
  readonly replicas: number;
  /** Blocks that each is asked for, beside the root and the manifest. */
  readonly samples: number;
  readonly relays: number;
  /** How long each has to deliver them. */
  readonly waitMillis: number;
  readonly signal: AbortSignal;
  /** A host was asked. */
  readonly onHost?: (done: number, hosts: number) => void;
}

/** What a host did, as people and scripts read it. */
export interface KeeperReport {
  readonly host: string;
  readonly result: KeepingResult;
  /** Its offer says that it takes no content any more: it does not count. */
  readonly leaving: boolean;
  /** Blocks that it was to deliver, delivered, and said it does not have. */
  readonly asked: number;
  readonly delivered: number;
  readonly missing: number;
  /** Of the blocks that it delivered. */
  readonly bytes: number;
  readonly millis: number;
  /** Base units, without what opening a channel takes; with what the list cost, where this host gave it. */
  readonly cost: string;
  readonly why?: { readonly code: string; readonly message: string };
  /** Why it did not take what it was brought; of a repair. */
  readonly refused?: { readonly code: string; readonly message: string };
}

export interface SiteVerified {
  readonly name: string;
  readonly cid: string;
  /** Distinct blocks of the site, as far as they are known. */
  readonly blocks: number;
  /** Blocks that nobody delivers and that have others below them. */
  readonly unread: number;
  /** Where the list of blocks comes from. */
  readonly list: 'data folder' | 'hosts';
  readonly samples: number;
  readonly wanted: number;
  /** Hosts that keep it and stay. */
  readonly keeping: number;
  readonly hosts: readonly KeeperReport[];
  /** Hosts that say they keep it and were not asked, because they are too many. */
  readonly unasked: number;
  /** Base units. */
  readonly cost: string;
}

/** Failures of whoever asks: without money, within its own limits or without the ledger it could ask nobody. */
const OURS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'INSUFFICIENT_FUNDS',
  'DEPOSIT_EXHAUSTED',
  'BUDGET_EXHAUSTED',
  'BUDGET_STOPPED',
  'LEDGER_UNREACHABLE',
]);
/** Hosts that are asked at the same time. */
const AT_ONCE = 4;

/**
 * The node is announced: it has asked for offers.
 * @throws RelaymintError NAME_UNKNOWN, NAME_EXPIRED, CONTENT_NOT_FOUND (the name points to nothing), CONTENT_REFUSED, LIMIT_EXCEEDED (the list), ABORTED,
 * and what is our own: INSUFFICIENT_FUNDS, BUDGET_EXHAUSTED, PRICE_TOO_HIGH, ..
 */
export async function verify(node: RunningNode, settings: VerifySettings): Promise<SiteVerified> {
  assertNotAborted(settings.signal, 'Asking hosts');
  const record = await node.ledger.name(settings.name);
  const root = rootOf(settings.name, record);
  const own = await ownList(node, settings.name, root);
  return await verifyRoot(node, settings, { root, manifest: manifestNamed(record), own });
}

/** What hosts are to keep of a name. */
export interface Wanted {
  readonly root: CID;
  /** undefined: the name has none. */
  readonly manifest: CID | undefined;
  /** The list of the blocks under the root, where it is known without any host. */
  readonly own: BlockList | undefined;
}

export async function verifyRoot(
  node: RunningNode,
  settings: VerifySettings,
  { root, manifest, own }: Wanted,
): Promise<SiteVerified> {
  const { name, signal, samples } = settings;
  const { book } = node.discovery;
  const all = settings.hosts.length > 0 ? Array.from(new Set(settings.hosts)) : keepersOf(book, name);
  const hosts = all.slice(0, MAX_VERIFIED_HOSTS);
  await using stack = new AsyncDisposableStack();
  const lines = HostLine.each(node, hosts, settings, stack);
  const list = own ?? (await listBlocks(fromAnyOf(lines), root, { signal, most: MAX_LISTING_BYTES }));
  const reports: KeeperReport[] = [];
  const failures: RelaymintError[] = [];
  const ask = async (line: HostLine): Promise<void> => {
    const blocks = questionsOf(manifest === undefined ? [root] : [root, manifest], list, samples);
    const { why, ...said } = await challenge({ host: line, blocks, waitMillis: settings.waitMillis, signal });
    // It says nothing about the host.
    if (why !== undefined && OURS.has(why.code)) throw why;
    if (why !== undefined) failures.push(why);
    const report = { host: line.host, leaving: isLeaving(book, line.host), ...said, cost: String(line.cost) };
    reports.push({ ...report, ...(why && { why: { code: why.code, message: why.message } }) });
    settings.onHost?.(reports.length, lines.length);
  };
  for (let at = 0; at < lines.length; at += AT_ONCE) await Promise.all(lines.slice(at, at + AT_ONCE).map(ask));
  // One that is too dear must not end the check of the others; where all are, the limit of whoever asks is what is wrong.
  const [dear] = failures;
  if (dear !== undefined && failures.length === lines.length && failures.every(({ code }) => code === 'PRICE_TOO_HIGH'))
    throw dear;
  return {
    name,
    cid: root.toString(),
    blocks: list.blocks.length,
    unread: list.unread.length,
    list: own === undefined ? 'hosts' : 'data folder',
    samples,
    wanted: settings.replicas,
    keeping: reports.filter(isKeeper).length,
    hosts: reports,
    unasked: all.length - hosts.length,
    cost: String(reports.reduce((sum, { cost }) => sum + BigInt(cost), 0n)),
  };
}

/** It passed, and stays. */
export function isKeeper({ result, leaving }: Pick<KeeperReport, 'result' | 'leaving'>): boolean {
  return result === 'keeps' && !leaving;
}

/** Each host has its own: one that heard the questions to another learns nothing. Without `all` of those, nothing of a site opens. */
function questionsOf(all: readonly CID[], { blocks, unread }: BlockList, samples: number): CID[] {
  const questions = [...all, ...unread, ...sampleOf(blocks, samples)];
  return Array.from(new Map(questions.map((cid) => [cid.toString(), cid])).values());
}

/** The manifest that a record names. @throws RelaymintError MANIFEST_INVALID. */
export function manifestNamed(record: NameRecord | undefined): CID | undefined {
  return record === undefined || record.manifest.length === 0 ? undefined : manifestCid(record.name, record.manifest);
}

/** What a name points to. @throws RelaymintError NAME_UNKNOWN, NAME_EXPIRED, CONTENT_NOT_FOUND. */
export function rootOf(name: string, record: NameRecord | undefined): CID {
  if (record === undefined) throw nameUnknown(name);
  if (record.status === 'expired') {
    throw new RelaymintError('NAME_EXPIRED', `${name} has expired and its grace period is over.`, {
      remedy: 'Publish a folder under it with "relaymint site publish", which registers it again.',
    });
  }
  return rootOfRecord(record);
}

/** The blocks under a root that is kept here. */
export async function listIn(store: Pick<BlockStore, 'blocksOf'>, root: CID): Promise<BlockList> {
  const blocks: CID[] = [];
  for await (const cid of store.blocksOf(root)) blocks.push(cid);
  return { blocks, unread: [] };
}

/** The list of the data folder that published it; undefined where that does not have it, or another process has it open. */
async function ownList({ settings }: RunningNode, name: string, root: CID): Promise<BlockList | undefined> {
  if (!(await hasArchive(settings.dataDir))) return undefined;
  try {
    const { store } = await openArchive(settings.dataDir, settings.log);
    await using _closed = store;
    if (!store.pins(name).some((pin) => pin.root.equals(root))) return undefined;
    return await listIn(store, root);
  } catch (error) {
    if (isRelaymintError(error, 'FILE_IN_USE')) return undefined;
    throw error;
  }
}
