/** What a publisher keeps in its data folder: blocks of the roots that it published last, what files were, and the journal. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { CID } from 'multiformats/cid';
import { equalBytes } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_PUBLISHER_ROOTS } from '../../core/limits.ts';
import type { Log } from '../../core/ports.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { isManifestCodec, openBlockStore, type BlockStore, type Pin } from '../../sites/blocks/index.ts';
import { PublishJournal, type PublishEntry } from '../../sites/publish/index.ts';

export interface Archive {
  readonly store: BlockStore;
  readonly journal: PublishJournal;
  /** Where it is remembered what the files of a name were. */
  readonly indexOf: (name: string) => string;
}

function contentFolder(dataDir: string): string {
  return path.join(dataDir, 'content');
}

/** Where what is made of a name's pictures is kept. */
export function picturesFolder(dataDir: string, name: string): string {
  return path.join(contentFolder(dataDir), 'pictures', name);
}

/** The same of its films. */
export function postersFolder(dataDir: string, name: string): string {
  return path.join(contentFolder(dataDir), 'posters', name);
}

/** Where what is made of a name's profile is put before it is published. */
export function profileFolder(dataDir: string, name: string): string {
  return path.join(contentFolder(dataDir), 'profiles', name);
}

export function journalOf(dataDir: string): PublishJournal {
  return new PublishJournal(path.join(contentFolder(dataDir), 'published.jsonl'));
}

/** Whether there is one: opening it would make one. */
export async function hasArchive(dataDir: string): Promise<boolean> {
  return (await stat(path.join(contentFolder(dataDir), 'blocks')).catch(() => undefined)) !== undefined;
}

/** The caller disposes the store. @throws RelaymintError FILE_IN_USE, STORAGE_FAILED. */
export async function openArchive(dataDir: string, log: Log): Promise<Archive> {
  const directory = contentFolder(dataDir);
  return {
    store: await openBlockStore({ directory, log }),
    journal: journalOf(dataDir),
    indexOf: (name) => path.join(directory, 'read', `${name}.jsonl`),
  };
}

/** What is kept of a name that it can point to: its manifests are kept beside. */
export function rootsOf(pins: readonly Pin[]): readonly Pin[] {
  return pins.filter(({ root }) => !isManifestCodec(root));
}

/** Of the roots before a new one, those that stay: the one that the chain names, and the youngest. Of manifests as many. */
export function rootsKept(
  older: readonly Pin[],
  record: Pick<NameRecord, 'root' | 'manifest'> | undefined,
): readonly Pin[] {
  const roots = rootsOf(older);
  const manifests = older.filter((pin) => !roots.includes(pin));
  const young = [roots, manifests].flatMap((pins) => pins.slice(-(MAX_PUBLISHER_ROOTS - 1)));
  const isNamed = ({ root }: Pin): boolean =>
    record !== undefined && (equalBytes(root.bytes, record.root) || equalBytes(root.bytes, record.manifest));
  return older.filter((pin) => young.includes(pin) || isNamed(pin));
}

export interface Wish {
  readonly name: string;
  readonly to: CID | number | undefined;
  /** Oldest first. */
  readonly entries: readonly PublishEntry[];
  readonly pins: readonly Pin[];
  /** What the chain says; empty: nothing. */
  readonly current: Uint8Array;
}

/** Where a rollback goes. `files` and `bytes` as far as they are known. */
export type Target = Pick<PublishEntry, 'files' | 'bytes'> & { readonly root: CID };

type WithRoot = PublishEntry & { readonly root: CID };

/** @throws RelaymintError CONTENT_NOT_FOUND: there is no such root, or its blocks are gone. */
export function targetOf({ name, to, entries, pins, current }: Wish): Target {
  const published = entries.filter((entry): entry is WithRoot => entry.root !== undefined);
  const root = to === undefined ? rootBefore(published, current) : typeof to === 'number' ? rootOf(published, to) : to;
  const seeHistory = `See "relaymint site history ${name}".`;
  if (root === undefined) {
    const what =
      to === undefined ? `${name} has nothing to go back to here.` : `${name} has no number ${String(to)} here.`;
    throw new RelaymintError('CONTENT_NOT_FOUND', what, { remedy: seeHistory });
  }
  const entry = published.findLast((one) => one.root.equals(root));
  if (pins.some((pin) => pin.root.equals(root))) return { root, files: entry?.files, bytes: entry?.bytes };
  throw new RelaymintError('CONTENT_NOT_FOUND', `The content ${root.toString()} of ${name} is not kept here.`, {
    remedy:
      entry === undefined
        ? `It was not published from this data folder. ${seeHistory}`
        : `The last ${MAX_PUBLISHER_ROOTS} roots are kept: publish the folder as it was then again.`,
  });
}

function rootOf(published: readonly WithRoot[], wanted: number): CID | undefined {
  return published.find(({ number }) => number === wanted)?.root;
}

/** The one before where the chain is, not before what was published last: going back twice goes back two. */
function rootBefore(published: readonly WithRoot[], current: Uint8Array): CID | undefined {
  const isCurrent = ({ root }: WithRoot): boolean => equalBytes(root.bytes, current);
  const last = published.findLastIndex(isCurrent);
  // It was gone back to: what is before is before the time when it was published.
  const at = published[last]?.step === 'rolled back' ? published.findIndex(isCurrent) : last;
  const before = last < 0 ? published : published.slice(0, at);
  return before.findLast((entry) => !isCurrent(entry))?.root;
}
