/** What became of a site: where its name points and since when, what was published before, and how it is taken away. */
import { CID } from 'multiformats/cid';
import { equalBytes } from '../../core/codec.ts';
import { isRelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { unixMillis } from '../../core/units.ts';
import type { LedgerReader, LedgerWallet, NameRecord } from '../../ledger/contract.ts';
import { daysBetween } from '../../ledger/term.ts';
import type { BlockStore } from '../../sites/blocks/index.ts';
import { checkManifest } from '../../sites/manifest/index.ts';
import type { PublishEntry } from '../../sites/publish/index.ts';
import type { RunningNode } from '../node/index.ts';
import { hasArchive, journalOf, openArchive, rootsOf } from './archive.ts';
import { keepersOf } from './keepers.ts';
import { requireOwn } from './own-name.ts';
import { presentManifest } from './own-terms.ts';

/** An entry of the journal, as people and scripts read it. */
export interface HistoryEntry {
  readonly number: number;
  /** UNIX milliseconds. */
  readonly at: number;
  readonly step: PublishEntry['step'];
  /** null: the name pointed to nothing. */
  readonly cid: string | null;
  readonly files?: number | undefined;
  readonly bytes?: number | undefined;
  readonly hosts: readonly string[];
  /** null: not known to be confirmed. */
  readonly transaction: string | null;
  /** The chain points there now: of several entries with that root, the last. null: the ledger did not say. */
  readonly current: boolean | null;
  /** The blocks are here, so that a rollback can go there. null: another process has the store open. */
  readonly kept: boolean | null;
}

export interface SiteHistory {
  readonly name: string;
  /** Newest first. */
  readonly entries: readonly HistoryEntry[];
}

export interface RecordParts {
  readonly name: string;
  readonly dataDir: string;
  readonly ledger: Pick<LedgerReader, 'name'>;
  readonly log: Log;
}

/** @throws RelaymintError STORAGE_FAILED, and what the ledger says unless it cannot be reached. */
export async function siteHistory({ name, dataDir, ledger, log }: RecordParts): Promise<SiteHistory> {
  const entries = await journalOf(dataDir).read(name);
  const [record, kept] = await Promise.all([recordOf(ledger, name), rootsIn(dataDir, name, log)]);
  const isAt = ({ root }: PublishEntry): boolean =>
    record !== undefined && equalBytes(root?.bytes ?? new Uint8Array(), record?.root ?? new Uint8Array());
  const current = entries.findLast(isAt);
  return {
    name,
    entries: entries
      .map(({ root, transaction, number, at, step, files, bytes, hosts }) => ({
        number,
        at,
        step,
        cid: root?.toString() ?? null,
        files,
        bytes,
        hosts,
        transaction: transaction ?? null,
        current: record === undefined ? null : number === current?.number,
        kept: kept === undefined ? null : root !== undefined && kept.has(root.toString()),
      }))
      .toReversed(),
  };
}

/** null: nobody has registered it. undefined: the ledger cannot be reached. */
async function recordOf(ledger: Pick<LedgerReader, 'name'>, name: string): Promise<NameRecord | null | undefined> {
  try {
    return (await ledger.name(name)) ?? null;
  } catch (error) {
    if (isRelaymintError(error, 'LEDGER_UNREACHABLE')) return undefined;
    throw error;
  }
}

/** undefined: another process has the store open. */
async function rootsIn(dataDir: string, name: string, log: Log): Promise<ReadonlySet<string> | undefined> {
  const roots = (store: BlockStore | undefined): ReadonlySet<string> =>
    new Set(rootsOf(store?.pins(name) ?? []).map(({ root }) => root.toString()));
  if (!(await hasArchive(dataDir))) return roots(undefined);
  return await inArchive(dataDir, log, async (store) => await Promise.resolve(roots(store)));
}

/** undefined: there is no store, or another process has it open. */
async function inArchive<T>(
  dataDir: string,
  log: Log,
  work: (store: BlockStore) => Promise<T>,
): Promise<T | undefined> {
  if (!(await hasArchive(dataDir))) return undefined;
  try {
    const { store } = await openArchive(dataDir, log);
    await using _closed = store;
    return await work(store);
  } catch (error) {
    if (isRelaymintError(error, 'FILE_IN_USE')) return undefined;
    throw error;
  }
}

export interface SiteStatus {
  readonly name: string;
  readonly registered: boolean;
  readonly status?: NameRecord['status'];
  readonly owner?: string;
  /** Whether the wallet in the data folder may change it. */
  readonly ours?: boolean;
  readonly seq?: string;
  /** UNIX seconds, and whole days until then; absent: never. */
  readonly expiresAt?: string;
  readonly daysLeft?: number;
  /** null: the name points to nothing. */
  readonly cid?: string | null;
  /** Of the name's manifest; absent: it has none. null: it is not in this data folder, so that nothing can be said of it. */
  readonly manifest?: { readonly cid: string; readonly good: boolean | null; readonly why?: string };
  /** When this data folder pointed the name there, UNIX milliseconds; absent: it did not. */
  readonly since?: number;
  /** What this data folder published last; absent: nothing. */
  readonly newest?: { readonly number: number; readonly cid: string | null; readonly at: number };
  /** The name points to what this data folder published last; absent: it published nothing. */
  readonly isNewest?: boolean;
  /** Node ids of those whose offers say that they keep the name. */
  readonly hosts: readonly string[];
}

/** The node is announced: it has asked for offers. @throws RelaymintError LEDGER_UNREACHABLE, STORAGE_FAILED. */
export async function siteStatus(node: RunningNode, name: string): Promise<SiteStatus> {
  const { book } = node.discovery;
  const hosts = keepersOf(book, name);
  const [record, entries, now] = await Promise.all([
    node.ledger.name(name),
    journalOf(node.settings.dataDir).read(name),
    node.ledger.now(),
  ]);
  const last = entries.at(-1);
  const newest = last && { number: last.number, cid: last.root?.toString() ?? null, at: last.at };
  if (record === undefined) return { name, registered: false, hosts, ...(newest && { newest, isNewest: false }) };
  const { root, expiresAt, owner, manager, seq, status } = record;
  const cid = root.length === 0 ? null : cidText(root);
  const manifest = await manifestStatus(node.settings, record);
  const since = entries.findLast((entry) => (entry.root?.toString() ?? null) === cid)?.at;
  return {
    name,
    registered: true,
    status,
    owner,
    ours: owner === node.wallet.address || manager === node.wallet.address,
    seq: String(seq),
    ...(expiresAt !== undefined && { expiresAt: String(expiresAt), daysLeft: daysBetween(now, expiresAt) }),
    cid,
    ...(manifest && { manifest }),
    ...(since !== undefined && { since }),
    ...(newest && { newest, isNewest: newest.cid === cid }),
    hosts,
  };
}

/** Whether visitors will take it, as far as it is here. */
async function manifestStatus(
  { dataDir, log }: Pick<RunningNode['settings'], 'dataDir' | 'log'>,
  record: NameRecord,
): Promise<SiteStatus['manifest']> {
  if (record.manifest.length === 0) return undefined;
  const cid = cidText(record.manifest);
  const signed = await inArchive(dataDir, log, async (store) => await presentManifest(store, record));
  if (signed === undefined) return { cid, good: null };
  try {
    checkManifest(signed, record);
    return { cid, good: true };
  } catch (error) {
    if (!isRelaymintError(error, 'MANIFEST_INVALID')) throw error;
    return { cid, good: false, why: error.message };
  }
}

/** Anybody may write anything into a record of theirs. */
function cidText(root: Uint8Array): string {
  try {
    return CID.decode(root).toString();
  } catch {
    return 'not a CID';
  }
}

export interface UnpublishParts extends RecordParts {
  readonly wallet: Pick<LedgerWallet, 'address' | 'updateName'>;
}

/** Whether the name points to anything, and may be pointed to nothing. @throws RelaymintError NAME_UNKNOWN, NAME_TAKEN, NAME_EXPIRED. */
export async function isPublished(parts: Pick<UnpublishParts, 'name' | 'ledger' | 'wallet'>): Promise<boolean> {
  return (await requireOwn(parts, parts.name)).root.length > 0;
}

/**
 * Points a name to nothing. Gateways then say that it has no content; hosts let the content go within a day. What is kept in the data
 * folder stays there, so that a rollback brings it back. Its manifest stays too: what is published next has its terms.
 * @returns the transaction; undefined: it pointed to nothing before. @throws RelaymintError NAME_UNKNOWN, NAME_TAKEN, NAME_EXPIRED, STORAGE_FULL, ..
 */
export async function unpublish(parts: UnpublishParts): Promise<string | undefined> {
  const { name, wallet, dataDir, log } = parts;
  if (!(await isPublished(parts))) return undefined;
  const journal = journalOf(dataDir);
  const at = unixMillis(Date.now());
  const begun = await journal.begin({ name, at, step: 'unpublished', root: undefined, hosts: [] });
  const { signature } = await wallet.updateName(name, { root: new Uint8Array() });
  try {
    await journal.confirm(begun, signature);
  } catch (error) {
    log.warn({ err: error }, 'the name points to nothing now, but the list of what was published could not be written');
  }
  return signature;
}
