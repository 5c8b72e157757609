/** Every file of a site, for callers that fetch or check all of it. */
import type { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_BLOCKS_PER_ROOT, MAX_PATH_SEGMENTS } from '../../core/limits.ts';
import type { BlockReader } from '../blocks/contract.ts';
import { isPlainName, openNode } from './unixfs.ts';
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

/** Of all files below a root, each as often as it has a path. */
export interface FileTotals {
  readonly files: number;
  readonly bytes: number;
}

export interface CountOptions extends ReadOptions {
  /** Entries to which no address leads are refused: `..`, or a name with a slash in it. Default false. */
  readonly plainNames?: boolean;
}

/** More than any folder that can be published: a few folders that name each other often have more paths than can be walked. */
const MAX_FILES = 16 * MAX_BLOCKS_PER_ROOT;

/**
 * What `listFiles` would find, without walking a folder again that stands in several places.
 * @throws RelaymintError CONTENT_REFUSED (not UnixFS, too deep, too many files, a name that is none), and the reader's errors.
 */
export async function countFiles(blocks: BlockReader, root: CID, options: CountOptions = {}): Promise<FileTotals> {
  const known = new Map<string, FileTotals>();
  const count = async (cid: CID, depth: number): Promise<FileTotals> => {
    const key = cid.toString();
    const before = known.get(key);
    if (before !== undefined) return before;
    if (depth > MAX_PATH_SEGMENTS) throw tooDeep();
    const node = await openNode(blocks, cid, options);
    let [files, bytes] = node.type === 'file' ? [1, node.size] : [0, 0];
    if (node.type === 'directory') {
      for await (const entry of node.entries(options)) {
        if (options.plainNames === true && !isPlainName(entry.name)) throw notPlain(entry.name);
        const below = await count(entry.cid, depth + 1);
        files += below.files;
        bytes += below.bytes;
        if (files > MAX_FILES || !Number.isSafeInteger(bytes)) throw tooMany(root);
      }
    }
    known.set(key, { files, bytes });
    return { files, bytes };
  };
  return await count(root, 0);
}

function notPlain(name: string): RelaymintError {
  return new RelaymintError(
    'CONTENT_REFUSED',
    `A folder has an entry "${name.slice(0, 80)}", to which no address leads.`,
    {
      remedy: 'Write the file again without it: other tools could take it for the folder above.',
    },
  );
}

function tooMany(root: CID): RelaymintError {
  return new RelaymintError('CONTENT_REFUSED', `${root.toString()} has more than ${MAX_FILES} files.`, {
    remedy: 'Split it over several names.',
  });
}

function tooDeep(): RelaymintError {
  return new RelaymintError('CONTENT_REFUSED', `The site has more than ${MAX_PATH_SEGMENTS} nested folders.`, {
    remedy: 'Its owner has to flatten it.',
  });
}

async function* walk(
  blocks: BlockReader,
  cid: CID,
  segments: readonly string[],
  options: ReadOptions,
): AsyncGenerator<ListedFile> {
  if (segments.length > MAX_PATH_SEGMENTS) throw tooDeep();
  const node = await openNode(blocks, cid, options);
  if (node.type === 'file') {
    yield { segments, file: node };
    return;
  }
  if (node.type === 'symlink') return;
  for await (const entry of node.entries(options)) yield* walk(blocks, entry.cid, [...segments, entry.name], options);
}
