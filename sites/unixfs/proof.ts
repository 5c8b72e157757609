/**
 * The blocks from which a client proves a part of a DAG by itself, in depth-first order: what a CAR file carries. Some are fetched ahead.
 */
import type { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { MAX_BLOCKS_PER_ROOT, MAX_DAG_DEPTH, MAX_PATH_SEGMENTS, REQUEST_READ_AHEAD } from '../../core/limits.ts';
import { blockKey, checkCid, isDirectoryCodec } from '../blocks/index.ts';
import type { BlockReader } from '../blocks/contract.ts';
import { decodeNode, refused } from './node.ts';
import type { ReadOptions } from './unixfs.ts';

/** Folders below each other, and the tree of a file in the last one. */
const MAX_DEPTH: number = MAX_PATH_SEGMENTS + MAX_DAG_DEPTH;
const IDENTITY = 0x00;

/** How much of a DAG: its own block, the file or folder that it is (with all shards, without what a folder contains), or everything. */
export type Scope = 'block' | 'entity' | 'all';

/** Bytes of a file, both ends included; negative: counted from its end. `to` absent: to its end. */
export interface EntityBytes {
  readonly from: number;
  readonly to: number | undefined;
}

export interface ProofOptions extends ReadOptions {
  readonly scope: Scope;
  /** Only of a file's `entity`. */
  readonly bytes?: EntityBytes;
  /** Keys (`blockKey`) of blocks that the client has: they are not given again. Those that are given are added. Absent: some may come twice. */
  readonly known?: Set<string>;
}

export interface ProofBlock {
  readonly cid: CID;
  readonly block: Uint8Array;
}

interface Span {
  /** Where this subtree begins in the file. */
  readonly at: number;
  /** Of the file, `end` excluded. */
  readonly start: number;
  readonly end: number;
}

interface Step {
  readonly cid: CID;
  readonly depth: number;
  /** `file`: a part of a file; `shard`: a part of a folder; the scope at the top. */
  readonly as: Scope | 'file' | 'shard';
  readonly span?: Span;
  block?: Promise<Uint8Array>;
}

/** @throws RelaymintError CONTENT_REFUSED (not UnixFS, too deep, or too many blocks), and the reader's errors. */
export async function* proofOf(blocks: BlockReader, root: CID, options: ProofOptions): AsyncGenerator<ProofBlock> {
  /** The next one last. */
  const steps: Step[] = [{ cid: root, depth: 0, as: options.scope }];
  let visited = 0;
  for (let next = steps.pop(); next !== undefined; next = steps.pop()) {
    assertNotAborted(options.signal, 'Reading content');
    if (isDone(next, options)) continue;
    const own = fetchOf(next, blocks, options);
    for (const ahead of steps.slice(-REQUEST_READ_AHEAD))
      if (!isDone(ahead, options)) void fetchOf(ahead, blocks, options);
    const block = await own;
    visited += 1;
    if (visited > MAX_BLOCKS_PER_ROOT) throw refused(root, `it has more than ${MAX_BLOCKS_PER_ROOT} blocks`);
    const key = blockKey(next.cid);
    if (options.known?.has(key) !== true) yield { cid: next.cid, block };
    options.known?.add(key);
    for (const below of stepsBelow(next, block, options).toReversed()) steps.push(below);
  }
}

/** The client has it with all that is below. The same part of a file in another place may lead to other leaves of it. */
function isDone({ cid, as }: Step, { known }: ProofOptions): boolean {
  return known?.has(blockKey(checkCid(cid))) === true && (as !== 'file' || !isDirectoryCodec(cid));
}

function fetchOf(step: Step, blocks: BlockReader, { signal }: ReadOptions): Promise<Uint8Array> {
  if (step.block === undefined) {
    step.block = blocks.get(checkCid(step.cid), signal === undefined ? {} : { signal });
    // Whoever comes to it sees the failure.
    step.block.catch(() => undefined);
  }
  return step.block;
}

/** In the order in which they follow. */
function stepsBelow({ cid, depth, as, span }: Step, block: Uint8Array, options: ProofOptions): Step[] {
  if (as === 'block' || !isDirectoryCodec(cid)) return [];
  if (depth >= MAX_DEPTH) throw refused(cid, `it is deeper than ${MAX_DEPTH} levels`);
  const { links, unixfs } = decodeNode(cid, block);
  const below = { depth: depth + 1 };
  if (as === 'all') {
    // What is written into its address needs no block.
    const outside = links.filter(({ Hash }) => Hash.multihash.code !== IDENTITY);
    return outside.map((link) => ({ ...below, cid: link.Hash, as }));
  }
  if (unixfs.type === 'hamt-sharded-directory') {
    // What only begins with the number of a bucket is an entry, and what is nothing else is a shard.
    const digits = (Number(unixfs.fanout ?? 256n) - 1).toString(16).length;
    return links
      .filter(({ Name }) => Name?.length === digits)
      .map((link) => ({ ...below, cid: link.Hash, as: 'shard' }));
  }
  if (unixfs.type !== 'file') return [];
  const sizes = unixfs.blockSizes.map(Number);
  if (sizes.length !== links.length) throw refused(cid, 'its parts do not add up');
  const wanted = span ?? spanOf(Number(unixfs.fileSize()), options.bytes);
  let at = wanted.at + (unixfs.data?.length ?? 0);
  return links.flatMap((link, index): Step[] => {
    const size = sizes[index] ?? 0;
    const own = { ...wanted, at };
    at += size;
    return own.at < own.end && at > own.start ? [{ ...below, cid: link.Hash, as: 'file', span: own }] : [];
  });
}

function spanOf(size: number, bytes: EntityBytes = { from: 0, to: undefined }): Span {
  const fromEnd = (place: number): number => (place < 0 ? Math.max(size + place, 0) : place);
  return { at: 0, start: fromEnd(bytes.from), end: bytes.to === undefined ? size : fromEnd(bytes.to) + 1 };
}
