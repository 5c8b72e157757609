/** Every file of a site, for callers that fetch or check all of it. */
import type { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_PATH_SEGMENTS } from '../../core/limits.ts';
import type { BlockReader } from '../blocks/contract.ts';
import { openNode } from './unixfs.ts';
import type { FileNode, ReadOptions } from './unixfs.ts';

export interface ListedFile {
  /** Names from the root down; join them with "/", each percent-encoded, for an address. */
  readonly segments: readonly string[];
  readonly file: FileNode;
}

/**
 * Walks folders depth first, in the order of their entries; links of a file system are left out. Loads each folder's and file's own block (a file of at most
 * 1 MiB is that block), never the leaves of larger files.
 * @throws RelaymintError CONTENT_REFUSED (not UnixFS, too deep), and the reader's errors.
 */
export async function* listFiles(
  blocks: BlockReader,
  root: CID,
  options: ReadOptions = {},
): AsyncGenerator<ListedFile> {
  yield* walk(blocks, root, [], options);
}

async function* walk(
  blocks: BlockReader,
  cid: CID,
  segments: readonly string[],
  options: ReadOptions,
): AsyncGenerator<ListedFile> {
  if (segments.length > MAX_PATH_SEGMENTS) {
    throw new RelaymintError('CONTENT_REFUSED', `The site has more than ${MAX_PATH_SEGMENTS} nested folders.`, {
      remedy: 'Its owner has to flatten it.',
    });
  }
  const node = await openNode(blocks, cid, options);
  if (node.type === 'file') {
    yield { segments, file: node };
    return;
  }
  if (node.type === 'symlink') return;
  for await (const entry of node.entries(options)) yield* walk(blocks, entry.cid, [...segments, entry.name], options);
}
