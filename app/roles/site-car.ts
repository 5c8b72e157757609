/** CAR files that are published or taken in: one root, all that is below it, and nothing that is not what it says. */
import type { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { bytes, type Bytes } from '../../core/units.ts';
import type { BlockReader, BlockStore, Pin } from '../../sites/blocks/index.ts';
import { openCar, type CarFile } from '../../sites/car/index.ts';
import { bringIn, listBlocks } from '../../sites/keeping/index.ts';
import { countFiles, type ImportProgress, type ImportSummary } from '../../sites/unixfs/index.ts';

/** Dispose it to close the file. */
export interface SiteCar extends AsyncDisposable {
  readonly root: CID;
  /** Of what is below the root. */
  readonly files: number;
  readonly bytes: Bytes;
  /** Of all its blocks. */
  readonly blockBytes: Bytes;
  readonly blocks: BlockReader;
}

export interface SiteCarOptions {
  readonly signal?: AbortSignal;
  /** Bytes of the blocks that were checked so far. */
  readonly onBytes?: (bytes: number) => void;
}

/** Roots that an error names. */
const MOST_NAMED = 10;
const CHECKING = 'Checking the CAR file';

/**
 * Reads and checks all that is below the root, before anything is changed.
 * @throws RelaymintError FILE_NOT_FOUND, CONTENT_REFUSED (no CAR file, no root or several, no UnixFS, a huge header, an entry that is called ".."), CONTENT_NOT_FOUND
 * (a block is missing), CONTENT_CORRUPT (a block is not what its CID says), STORAGE_FAILED, ABORTED.
 */
export async function openSiteCar(path: string, { signal, onBytes }: SiteCarOptions = {}): Promise<SiteCar> {
  const options = signal === undefined ? {} : { signal };
  const car = await openCar(path, options);
  try {
    const root = soleRoot(car, path);
    const reader = explaining(car, path);
    const { blocks } = await listBlocks(reader.blocks, root, options);
    reader.assertWhole();
    let blockBytes = 0;
    for (const cid of blocks) {
      assertNotAborted(signal, CHECKING);
      blockBytes += (await reader.blocks.get(cid)).length;
      onBytes?.(blockBytes);
    }
    const { files, bytes: fileBytes } = await countFiles(reader.blocks, root, { ...options, plainNames: true });
    return {
      root,
      files,
      bytes: bytes(fileBytes),
      blockBytes: bytes(blockBytes),
      blocks: reader.blocks,
      [Symbol.asyncDispose]: () => car[Symbol.asyncDispose](),
    };
  } catch (error) {
    await car[Symbol.asyncDispose]();
    throw error;
  }
}

export interface TakeOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ImportProgress) => void;
  /** Which of the name's older roots stay, oldest first. */
  readonly keep: (older: readonly Pin[]) => readonly Pin[];
}

/** Keeps what is in a CAR file for a name, as `importSite` does with a folder. */
export async function takeCar(
  store: BlockStore,
  name: string,
  car: SiteCar,
  { signal, onProgress, keep }: TakeOptions,
): Promise<ImportSummary> {
  const { root, files, bytes: size } = car;
  await bringIn(store, { name, root }, car.blocks, {
    ...(signal && { signal }),
    onBytes: (read) => onProgress?.({ files, bytes: read, path: '' }),
  });
  const older = store.pins(name).filter((pin) => !pin.root.equals(root));
  const kept = keep(older);
  for (const old of older) if (!kept.includes(old)) await store.unpin(name, old.root);
  return { root, files, bytes: size, readBytes: car.blockBytes, skipped: [], changed: [] };
}

/** @throws RelaymintError CONTENT_REFUSED */
function soleRoot({ roots }: CarFile, path: string): CID {
  const [root, ...others] = roots;
  if (root !== undefined && others.length === 0) return root.toV1();
  if (root === undefined) {
    throw new RelaymintError('CONTENT_REFUSED', `${path} names no root.`, {
      remedy: 'Write it again with the root of a folder, as "relaymint site pack" does.',
    });
  }
  const named = roots.slice(0, MOST_NAMED).map(String).join(', ');
  const more = roots.length > MOST_NAMED ? ', ..' : '';
  throw new RelaymintError('CONTENT_REFUSED', `${path} has ${roots.length} roots: ${named}${more}.`, {
    remedy: 'A name points to one: write a CAR file for each.',
    details: { roots: roots.length },
  });
}

/** The blocks of the file, with errors that are about the file. */
function explaining(car: CarFile, path: string): { readonly blocks: BlockReader; readonly assertWhole: () => void } {
  let failure: RelaymintError | undefined;
  const explained = (error: unknown, cid: CID): unknown => {
    if (isRelaymintError(error, 'CONTENT_CORRUPT')) {
      return new RelaymintError('CONTENT_CORRUPT', `In ${path}, ${cid.toString()} is not the block that it says.`, {
        remedy: 'Fetch or write the file again.',
        cause: error,
      });
    }
    if (isRelaymintError(error, 'CONTENT_NOT_FOUND')) {
      return new RelaymintError(
        'CONTENT_NOT_FOUND',
        `${path} lacks the block ${cid.toString()}, which its root needs.`,
        {
          remedy: 'Write a CAR file with all that is below the root.',
          cause: error,
        },
      );
    }
    return error;
  };
  const blocks: BlockReader = {
    get: async (cid, options) => {
      try {
        return await car.get(cid, options);
      } catch (error) {
        const told = explained(error, cid);
        if (told instanceof RelaymintError) failure ??= told;
        throw told;
      }
    },
  };
  const assertWhole = (): void => {
    if (failure !== undefined) throw failure;
  };
  return { blocks, assertWhole };
}
