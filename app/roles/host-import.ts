/** A CAR file that a host's operator has it keep, without a publisher. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { equalBytes } from '../../core/codec.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { formatBytes, type Bytes } from '../../core/units.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import { openBlockStore } from '../../sites/blocks/index.ts';
import { openSiteCar } from './site-car.ts';
import { bringIn } from '../../sites/keeping/index.ts';

export interface HostImportParts {
  readonly dataDir: string;
  readonly name: string;
  readonly file: string;
  readonly quota: Bytes | undefined;
  readonly quotaPerName: Bytes | undefined;
  readonly ledger: Pick<LedgerReader, 'name'>;
  readonly signal: AbortSignal;
  readonly log: Log;
}

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
 * The host is stopped. Nothing is changed unless all of the file is right.
 * @throws RelaymintError as `openSiteCar`, FILE_IN_USE (the host runs), STORAGE_FULL, ABORTED.
 */
export async function importToHost(parts: HostImportParts): Promise<HostImported> {
  const { name, quota, quotaPerName, signal } = parts;
  await using stack = new AsyncDisposableStack();
  const car = stack.use(await openSiteCar(parts.file, { signal }));
  if (quotaPerName !== undefined && car.blockBytes > quotaPerName) {
    throw new RelaymintError('STORAGE_FULL', `${name} may use at most ${formatBytes(quotaPerName)} here.`, {
      remedy: 'Give a higher --quota-per-name.',
    });
  }
  const directory = path.join(parts.dataDir, 'content');
  const store = stack.use(await openBlockStore({ directory, log: parts.log, ...(quota !== undefined && { quota }) }));
  const pin = await bringIn(store, { name, root: car.root }, car.blocks, { signal });
  return {
    name,
    cid: pin.root.toString(),
    files: car.files,
    bytes: car.bytes,
    blocks: pin.blocks,
    current: await isCurrent(parts.ledger, name, pin.root.bytes),
  };
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
