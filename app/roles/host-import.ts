/** What a host's operator has it keep without a publisher: a CAR file, or what a gateway delivers. */
import path from 'node:path';
import type { CID } from 'multiformats/cid';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { equalBytes } from '../../core/codec.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { formatBytes, type Bytes } from '../../core/units.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import { openBlockStore, type BlockReader, type BlockStore, type Pin } from '../../sites/blocks/index.ts';
import { bringIn, bringManifest } from '../../sites/keeping/index.ts';
import { countFiles } from '../../sites/unixfs/index.ts';
import { CONTENT_DIRECTORY } from './hosting.ts';
import { openSiteCar } from './site-car.ts';
import { manifestNamed, rootOf } from './site-verify.ts';

export interface HostImportParts {
  readonly dataDir: string;
  readonly name: string;
  readonly from: ImportSource;
  readonly quota: Bytes | undefined;
  readonly quotaPerName: Bytes | undefined;
  readonly ledger: Pick<LedgerReader, 'name'>;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** A CAR file; or any reader of blocks, of what the name points to unless a root is given. */
export type ImportSource =
  | { readonly file: string }
  | {
      readonly blocks: BlockReader;
      readonly root: CID | undefined;
      readonly onBytes: (bytes: number) => void;
    };

export interface HostImported {
  readonly name: string;
  readonly cid: string;
  readonly files: number;
  readonly bytes: number;
  readonly blocks: number;
  /** The name points to it. If not, the host removes it within a day. null: the ledger did not say. */
  readonly current: boolean | null;
}

/**
 * The host is stopped. Nothing is kept unless all of it is right; what came of an import that broke off stays for a day, so that it goes on
 * where it stopped.
 * @throws RelaymintError as `openSiteCar`, and what the reader throws; FILE_IN_USE (the host runs), STORAGE_FULL, ABORTED; NAME_UNKNOWN,
 * NAME_EXPIRED, CONTENT_NOT_FOUND (no root is given, and the name points to none).
 */
export async function importToHost(parts: HostImportParts): Promise<HostImported> {
  const { name, from, signal } = parts;
  await using stack = new AsyncDisposableStack();
  if ('file' in from) {
    const car = stack.use(await openSiteCar(from.file, { signal }));
    assertFits(parts, car.blockBytes);
    const store = stack.use(await openStore(parts));
    const pin = await bringIn(store, { name, root: car.root }, car.blocks, { signal });
    return await importedOf(parts, pin, car);
  }
  // Who gives a root needs no ledger: it may be away, and is asked at the end what the name points to.
  const record = from.root === undefined ? await parts.ledger.name(name) : undefined;
  const root = from.root ?? rootOf(name, record);
  const store = stack.use(await openStore(parts));
  const onBytes = (bytes: number): void => {
    // Before it is kept, and before the disk is full of it.
    assertFits(parts, bytes);
    from.onBytes(bytes);
  };
  const manifest = manifestNamed(record);
  if (manifest !== undefined) await bringManifest(store, { name, root: manifest }, from.blocks, signal);
  const pin = await bringIn(store, { name, root }, from.blocks, { signal, onBytes });
  try {
    assertFits(parts, pin.bytes);
  } catch (error) {
    // Some of it was here before, and was not counted.
    await store.unpin(name, root);
    throw error;
  }
  return await importedOf(parts, pin, await countFiles(store, root, { signal }));
}

async function openStore({ dataDir, quota, log }: HostImportParts): Promise<BlockStore> {
  const directory = path.join(dataDir, CONTENT_DIRECTORY);
  return await openBlockStore({ directory, log, ...(quota !== undefined && { quota }) });
}

/** @throws RelaymintError STORAGE_FULL */
function assertFits({ name, quotaPerName }: HostImportParts, bytes: number): void {
  if (quotaPerName === undefined || bytes <= quotaPerName) return;
  throw new RelaymintError('STORAGE_FULL', `${name} may use at most ${formatBytes(quotaPerName)} here.`, {
    remedy: 'Give a higher --quota-per-name.',
  });
}

async function importedOf(
  { ledger, name }: HostImportParts,
  pin: Pin,
  { files, bytes }: { readonly files: number; readonly bytes: number },
): Promise<HostImported> {
  const current = await isCurrent(ledger, name, pin.root.bytes);
  return { name, cid: pin.root.toString(), files, bytes, blocks: pin.blocks, current };
}

async function isCurrent(ledger: Pick<LedgerReader, 'name'>, name: string, root: Uint8Array): Promise<boolean | null> {
  try {
    const record = await ledger.name(name);
    return record !== undefined && record.status !== 'expired' && equalBytes(record.root, root);
  } catch (error) {
    if (isRelaymintError(error, 'LEDGER_UNREACHABLE')) return null;
    throw error;
  }
}
