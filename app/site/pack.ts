/** Packs a folder into a CAR file that every IPFS tool reads. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { bytes, type Bytes } from '../../core/units.ts';
import { replaceFileBy } from '../../platform/disk/atomic-file.ts';
import { openBlockStore } from '../../sites/blocks/index.ts';
import { carOf } from '../../sites/car/index.ts';
import { importSite, proofOf, type ImportProgress, type ImportSummary } from '../../sites/unixfs/index.ts';
import { openScratch } from './scratch.ts';

export interface PackOptions {
  readonly folder: string;
  /** The CAR file; replaced when it is there. */
  readonly file: string;
  readonly signal: AbortSignal;
  readonly onImport?: (progress: ImportProgress) => void;
}

export interface Packed extends ImportSummary {
  /** Of the CAR file. */
  readonly size: Bytes;
}

/** Any name: the store keeps nothing but this. */
const NAME = 'packed.web3';

/**
 * The same folder gives the same bytes: blocks follow each other depth first, each once.
 * @throws RelaymintError FILE_NOT_FOUND, INVALID_ARGUMENT (nothing to pack), STORAGE_FAILED, STORAGE_FULL, ABORTED.
 */
export async function packSite({ folder, file, signal, onImport }: PackOptions): Promise<Packed> {
  await using stack = new AsyncDisposableStack();
  const scratch = stack.use(await openScratch('pack'));
  const store = stack.use(await openBlockStore({ directory: scratch.path }));
  const summary = await importSite(store, NAME, folder, { signal, ...(onImport && { onProgress: onImport }) });
  const blocks = proofOf(store, summary.root, { scope: 'all', known: new Set(), signal });
  const size = await replaceFileBy(file, carOf(summary.root, blocks));
  return { ...summary, size: bytes(size) };
}
