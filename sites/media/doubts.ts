/** Looks at what is going to be published for files that are not what they are said to be. */
import { open } from 'node:fs/promises';
import type { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import type { BlockReader } from '../blocks/contract.ts';
import { listFiles, publishableFiles, readFile } from '../unixfs/index.ts';
import { contradictionIn, describeBytes, fitsType, isTold, typeOfEnding, type Contradiction } from './kinds.ts';
import { SNIFFED_BYTES } from './sniff.ts';

/** A file that is not what its name says. */
export interface Doubt extends Contradiction {
  readonly path: string;
}

/** A file whose first bytes can be asked for. */
export interface Beginning {
  readonly path: string;
  readonly head: () => Promise<Uint8Array>;
}

export interface LookOptions {
  readonly signal?: AbortSignal;
}

/** More are not listed: `relaymint site check` has them all. */
const MAX_DOUBTS = 100;

/** Of a folder, as it would be published. @throws RelaymintError as `publishableFiles`; STORAGE_FAILED from `head`. */
export async function* beginningsOfFolder(folder: string, options: LookOptions): AsyncGenerator<Beginning> {
  for await (const { path, file } of publishableFiles(folder, options)) {
    yield { path, head: () => firstBytes(path, file) };
  }
}

/** Of content. A root that is a file has an empty path. @throws RelaymintError as `listFiles` and `readFile`. */
export async function* beginningsOfContent(
  blocks: BlockReader,
  root: CID,
  options: LookOptions,
): AsyncGenerator<Beginning> {
  for await (const { segments, file } of listFiles(blocks, root, options)) {
    const head = async (): Promise<Uint8Array> => {
      const range = { start: 0, end: Math.min(file.size, SNIFFED_BYTES) };
      const pieces: Uint8Array[] = [];
      for await (const piece of readFile(blocks, file, range, options)) pieces.push(piece);
      return Buffer.concat(pieces);
    };
    yield { path: segments.join('/'), head };
  }
}

/**
 * @param declared what a manifest says that the pictures or films are; undefined: there is none, or it is about a site
 * @throws RelaymintError INVALID_ARGUMENT: a file that the manifest is about is something else. What is wrong besides is returned.
 */
export async function doubtsAbout(
  files: AsyncIterable<Beginning>,
  declared: string | undefined,
): Promise<readonly Doubt[]> {
  const doubts: Doubt[] = [];
  for await (const { path, head } of files) {
    const isOriginal = declared !== undefined && (path === '' || typeOfEnding(path) === declared);
    if (!isOriginal && (!isTold(path) || doubts.length >= MAX_DOUBTS)) continue;
    const bytes = await head();
    if (isOriginal && !fitsType(declared, bytes)) {
      throw new RelaymintError(
        'INVALID_ARGUMENT',
        `${path === '' ? 'The file' : path} is ${describeBytes(bytes)}, and the manifest says ${declared}.`,
        { remedy: 'Replace the file, or correct the mediaType of the manifest: gateways would not show it.' },
      );
    }
    const wrong = contradictionIn(path, bytes);
    if (wrong !== undefined) doubts.push({ path, ...wrong });
  }
  return doubts;
}

async function firstBytes(path: string, file: string): Promise<Uint8Array> {
  try {
    await using handle = await open(file, 'r');
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(SNIFFED_BYTES), 0);
    return buffer.subarray(0, bytesRead);
  } catch (cause) {
    throw diskError(cause, `Reading ${path}`);
  }
}
