/**
 * Reading UnixFS over any BlockReader: paths, folders, and byte ranges of files. The directory formats are the exporter
 * package's business. File bytes are not: its reader queues a whole file when its consumer is slow, and reads past a range.
 */
import { exporter, walkPath } from 'ipfs-unixfs-exporter';
import type { ReadableStorage, UnixFSDirectory, UnixFSEntry } from 'ipfs-unixfs-exporter';
import type { CID } from 'multiformats/cid';
import { abortError, assertNotAborted, isAbortReason } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_DAG_DEPTH, MAX_PATH_SEGMENTS, REQUEST_READ_AHEAD } from '../../core/limits.ts';
import { checkCid, isDirectoryCodec } from '../blocks/index.ts';
import { decodeNode, refused } from './node.ts';
import type { BlockReader } from '../blocks/contract.ts';

const READING = 'Reading content';

export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/** A file: what is needed to stream any part of it. */
export interface FileNode {
  readonly type: 'file';
  readonly cid: CID;
  /** Bytes, as the root block states them; a file that turns out to have other bytes fails while it is read. */
  readonly size: number;
  /** The block that `cid` names, when it was loaded already: a reader of the file does not fetch and pay for it again. */
  readonly block?: Uint8Array;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly cid: CID;
}

export interface DirectoryNode {
  readonly type: 'directory';
  readonly cid: CID;
  /** @throws RelaymintError CONTENT_NOT_FOUND, CONTENT_CORRUPT, ... */
  entries(options?: ReadOptions): AsyncIterable<DirectoryEntry>;
}

/** A link of a file system, which other tools publish. It is shown, and never followed. */
export interface SymlinkNode {
  readonly type: 'symlink';
  readonly cid: CID;
  readonly target: string;
}

export type SiteNode = FileNode | DirectoryNode | SymlinkNode;

/** Where a path led, with every CID on the way: the root first, the target last. */
export interface Trail {
  readonly cid: CID;
  readonly roots: readonly CID[];
}

/**
 * Follows path segments from a root without loading what they lead to. Segments are names, already decoded.
 * @returns undefined when there is no such path.
 * @throws RelaymintError CONTENT_NOT_FOUND (a block is missing), CONTENT_REFUSED (not UnixFS), and the reader's errors.
 */
export async function follow(
  blocks: BlockReader,
  root: CID,
  segments: readonly string[],
  options: ReadOptions = {},
): Promise<Trail | undefined> {
  assertNotAborted(options.signal, 'Following a path');
  if (segments.length > MAX_PATH_SEGMENTS) return undefined;
  const roots = [root];
  let cid = root;
  for (const segment of segments) {
    const next = await child(blocks, cid, segment, options);
    if (next === undefined) return undefined;
    cid = next;
    roots.push(cid);
  }
  return { cid, roots };
}

/** Loads the own block of a file, a folder or a link. @throws RelaymintError CONTENT_REFUSED (none of them), and the reader's errors. */
export async function openNode(blocks: BlockReader, cid: CID, options: ReadOptions = {}): Promise<SiteNode> {
  const loaded: { block?: Uint8Array } = {};
  const entry = await load(noting(blocks, loaded), cid, options);
  if (entry.type === 'directory') return directoryNode(entry, blocks);
  if (entry.type !== 'file' && entry.type !== 'raw') throw notUnixFs(cid);
  if (entry.type === 'file' && entry.unixfs.type === 'symlink')
    return { type: 'symlink', cid, target: new TextDecoder().decode(entry.unixfs.data) };
  if (entry.type === 'file' && entry.unixfs.type !== 'file' && entry.unixfs.type !== 'raw') throw notUnixFs(cid);
  if (entry.size > BigInt(Number.MAX_SAFE_INTEGER)) throw notUnixFs(cid);
  return { type: 'file', cid, size: Number(entry.size), ...(loaded.block && { block: loaded.block }) };
}

/** False for names that mean something else in a path, to tools that unpack them too. */
export function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/');
}

async function child(blocks: BlockReader, parent: CID, name: string, options: ReadOptions): Promise<CID | undefined> {
  // Names that the path walker would take for something else.
  if (!isPlainName(name) || name.endsWith('\\')) return undefined;
  if (!isDirectoryCodec(checkCid(parent))) return undefined;
  const path = `${parent.toString()}/${name}`;
  let found: CID | undefined;
  try {
    for await (const step of walkPath(path, storage(blocks, options)))
      found = step.remainder?.length === 0 ? step.cid : found;
  } catch (error) {
    if (error instanceof Error && error.name === 'NotFoundError') return undefined;
    // The path walker takes a file of several blocks for a folder.
    if (!isRelaymintError(error) && (await openNode(blocks, parent, options)).type !== 'directory') return undefined;
    throw asContentError(error, parent);
  }
  return found;
}

function directoryNode(entry: UnixFSDirectory, blocks: BlockReader): DirectoryNode {
  return {
    type: 'directory',
    cid: entry.cid,
    async *entries(options: ReadOptions = {}) {
      // Loaded again with this caller's signal; the block is in the cache.
      const again = await load(eachOnce(blocks, entry.cid), entry.cid, options);
      if (again.type !== 'directory') throw notUnixFs(entry.cid);
      try {
        for await (const { name, cid } of again.entries()) yield { name, cid };
      } catch (error) {
        throw asContentError(error, entry.cid);
      }
    },
  };
}

/**
 * The shards of a folder, each of which has names that no other one has. A few small ones that hold each other by many ways would be
 * walked for ever, and without a pause where they are in memory. `folder`: is looked at twice, to open it and to list it.
 */
function eachOnce(blocks: BlockReader, folder: CID): BlockReader {
  const seen = new Set<string>();
  return {
    async get(cid, options) {
      const key = cid.toString();
      if (seen.has(key)) throw refused(folder, 'one of its shards occurs twice');
      if (!cid.equals(folder)) seen.add(key);
      return await blocks.get(cid, options);
    },
  };
}

interface Piece {
  readonly bytes: Promise<Uint8Array> | Uint8Array;
  /** Bytes the block must have: a host cannot shorten or stretch a file. */
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Streams the bytes `start` .. `end` (exclusive) of a file, in order, reading at most `ahead` leaves ahead of the consumer.
 * @throws RelaymintError CONTENT_CORRUPT when sizes in the tree contradict each other, and the reader's errors.
 */
export async function* readFile(
  blocks: BlockReader,
  file: FileNode,
  range: { readonly start: number; readonly end: number } = { start: 0, end: file.size },
  options: ReadOptions & { readonly ahead?: number } = {},
): AsyncGenerator<Uint8Array> {
  assertNotAborted(options.signal, READING);
  const ahead = options.ahead ?? REQUEST_READ_AHEAD;
  const waiting: Piece[] = [];
  const plan = pieces(
    file.block === undefined ? blocks : having(blocks, file.cid, file.block),
    file.cid,
    file.size,
    { at: 0, ...range },
    0,
    options,
  );
  let planned = range.end <= range.start;
  for (;;) {
    while (!planned && waiting.length < ahead) {
      const next = await plan.next();
      if (next.done === true) planned = true;
      else waiting.push(next.value);
    }
    const piece = waiting.shift();
    if (piece === undefined) return;
    const bytes = await piece.bytes;
    if (bytes.length !== piece.size) throw contradiction(file.cid);
    assertNotAborted(options.signal, READING);
    yield bytes.subarray(piece.from, piece.to);
  }
}

interface Span {
  /** Where this subtree begins in the file. */
  readonly at: number;
  readonly start: number;
  readonly end: number;
}

/** The leaves of a subtree that touch the range, their blocks already asked for. */
async function* pieces(
  blocks: BlockReader,
  cid: CID,
  size: number,
  span: Span,
  depth: number,
  options: ReadOptions,
): AsyncGenerator<Piece> {
  if (depth > MAX_DAG_DEPTH) throw contradiction(cid);
  if (!isDirectoryCodec(checkCid(cid))) {
    const bytes = blockOf(blocks, cid, options);
    // The caller that takes the piece sees the failure; until then nobody handles it.
    bytes.catch(() => undefined);
    yield { bytes, size, ...cut(size, span) };
    return;
  }
  const entry = await load(blocks, cid, options);
  if (entry.type !== 'file' || entry.size !== BigInt(size)) throw contradiction(cid);
  const { blockSizes, data } = entry.unixfs;
  const links = entry.node.Links;
  if (links.length !== blockSizes.length) throw contradiction(cid);
  let at = span.at;
  if (data !== undefined && data.length > 0) {
    const inside = { ...span, at };
    if (touches(data.length, inside)) yield { bytes: data, size: data.length, ...cut(data.length, inside) };
    at += data.length;
  }
  for (const [index, link] of links.entries()) {
    const childSize = Number(blockSizes[index]);
    const inside = { ...span, at };
    if (at >= span.end) return;
    if (touches(childSize, inside)) yield* pieces(blocks, link.Hash, childSize, inside, depth + 1, options);
    at += childSize;
  }
}

function touches(size: number, { at, start, end }: Span): boolean {
  return size > 0 && at < end && at + size > start;
}

function cut(size: number, { at, start, end }: Span): { from: number; to: number } {
  return { from: Math.max(0, start - at), to: Math.min(size, end - at) };
}

async function load(blocks: BlockReader, cid: CID, options: ReadOptions): Promise<UnixFSEntry> {
  try {
    return await exporter(checkCid(cid), storage(blocks, options));
  } catch (error) {
    throw asContentError(error, cid);
  }
}

/** Leaves the block that was read last in `note`. */
function noting(blocks: BlockReader, note: { block?: Uint8Array }): BlockReader {
  return {
    async get(cid, options) {
      note.block = await blocks.get(cid, options);
      return note.block;
    },
  };
}

/** Has one block at hand, and asks for the others. */
function having(blocks: BlockReader, known: CID, block: Uint8Array): BlockReader {
  return { get: async (cid, options) => (cid.equals(known) ? block : await blocks.get(cid, options)) };
}

/** A reader that fails with whatever a signal was aborted with was aborted. @throws RelaymintError ABORTED, TIMEOUT, and the reader's errors. */
async function blockOf(blocks: BlockReader, cid: CID, options: ReadOptions): Promise<Uint8Array> {
  try {
    return await blocks.get(cid, options);
  } catch (error) {
    if (isRelaymintError(error)) throw error;
    assertNotAborted(options.signal, READING);
    // By a signal of the reader's own.
    if (isAbortReason(error)) throw abortError(AbortSignal.abort(error), READING);
    throw error;
  }
}

/** Blocks that were looked at, for readers that keep them. */
const BOUNDED = new WeakSet<Uint8Array>();

/**
 * The exporter package takes a folder's shards for what they say: with a width of 0 or 1 it looks for a name for ever.
 * @throws RelaymintError CONTENT_REFUSED
 */
function assertBounded(cid: CID, block: Uint8Array): void {
  if (!isDirectoryCodec(cid) || BOUNDED.has(block)) return;
  decodeNode(cid, block);
  BOUNDED.add(block);
}

/** The blockstore shape that the exporter package reads from. */
function storage(blocks: BlockReader, options: ReadOptions): ReadableStorage {
  return {
    async *get(cid) {
      const block = await blockOf(blocks, checkCid(cid), options);
      assertBounded(cid, block);
      yield block;
    },
  };
}

/** The exporter's own errors concern the content; all others pass unchanged. */
function asContentError(error: unknown, cid: CID): unknown {
  return isRelaymintError(error) ? error : notUnixFs(cid, error);
}

function notUnixFs(cid: CID, cause?: unknown): RelaymintError {
  return new RelaymintError('CONTENT_REFUSED', `${cid.toString()} is not a UnixFS file or folder.`, {
    remedy: 'Its owner has to publish again with "relaymint site publish".',
    cause,
  });
}

function contradiction(cid: CID): RelaymintError {
  return new RelaymintError('CONTENT_CORRUPT', `The parts of ${cid.toString()} do not add up to its size.`, {
    remedy: 'Its owner has to publish again with "relaymint site publish".',
  });
}
