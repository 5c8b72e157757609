/** The blocks that belong to a site, found without fetching what is in its files. */
import type { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_BLOCKS_PER_ROOT, MAX_DAG_DEPTH } from '../../core/limits.ts';
import { formatBytes, type Bytes } from '../../core/units.ts';
import { blockKey, checkCid, isDirectoryCodec, linksOf, type BlockReader } from '../blocks/index.ts';
import { inTurns } from '../../core/in-turns.ts';

export interface ListOptions {
  readonly signal?: AbortSignal;
  /** Most bytes to read. Default: no limit. */
  readonly most?: Bytes;
}

export interface BlockList {
  /** Each once. What is below those that could not be read is not among them. */
  readonly blocks: readonly CID[];
  /** Those of `blocks` that have others below them and could not be read. */
  readonly unread: readonly CID[];
}

interface Place {
  readonly cid: CID;
  readonly depth: number;
}

/** Read ahead of each other: over a circuit, one at a time would take a round trip for each folder. */
const AT_ONCE = 8;
const LISTING = 'Listing the blocks of a site';

/**
 * Reads the blocks that name others, which are those of folders and of files of more than one block. The last ones, which hold
 * what is in the files and are nearly all of the bytes, are only named.
 * @throws RelaymintError LIMIT_EXCEEDED (more than `most`), CONTENT_REFUSED (not UnixFS, too deep or too many), ABORTED.
 */
export async function listBlocks(
  blocks: BlockReader,
  root: CID,
  { signal, most }: ListOptions = {},
): Promise<BlockList> {
  const found = new Map<string, CID>();
  const unread: CID[] = [];
  let read = 0;
  let level: Place[] = [];
  let below: Place[] = [];
  const see = ({ cid, depth }: Place): void => {
    const key = blockKey(checkCid(cid));
    const known = found.get(key);
    // The same bytes once as a leaf and once as a node: what the node names counts.
    if (known !== undefined && (known.code === cid.code || !isDirectoryCodec(cid))) return;
    found.set(key, cid);
    if (found.size > MAX_BLOCKS_PER_ROOT || depth > MAX_DAG_DEPTH) throw tooBig(root);
    if (isDirectoryCodec(cid)) below.push({ cid, depth });
  };
  const open = async ({ cid, depth }: Place): Promise<void> => {
    let block: Uint8Array;
    try {
      block = await blocks.get(cid, signal === undefined ? {} : { signal });
    } catch (error) {
      assertNotAborted(signal, LISTING);
      if (!(error instanceof RelaymintError)) throw error;
      unread.push(cid);
      return;
    }
    read += block.length;
    if (most !== undefined && read > most) throw tooMuch(root, most);
    for (const link of linksOf(cid, block)) see({ cid: link, depth: depth + 1 });
  };
  assertNotAborted(signal, LISTING);
  see({ cid: root, depth: 0 });
  while (below.length > 0) {
    [level, below] = [below, []];
    await inTurns(level, AT_ONCE, open);
  }
  return { blocks: Array.from(found.values()), unread };
}

function tooBig(root: CID): RelaymintError {
  return new RelaymintError(
    'CONTENT_REFUSED',
    `${root.toString()} has more than ${MAX_BLOCKS_PER_ROOT} blocks, or more than ${MAX_DAG_DEPTH} levels.`,
    { remedy: 'Split it over several names.' },
  );
}

function tooMuch(root: CID, most: Bytes): RelaymintError {
  return new RelaymintError(
    'LIMIT_EXCEEDED',
    `To know which blocks ${root.toString()} has, more than ${formatBytes(most)} would have to be fetched.`,
    { remedy: 'Ask from the data folder that published it, which has the list.' },
  );
}
