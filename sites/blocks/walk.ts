/** Walks a DAG to prove that all of it is present. */
import * as dagPb from '@ipld/dag-pb';
import type { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_BLOCKS_PER_ROOT, MAX_DAG_DEPTH, MAX_MANIFEST_BYTES } from '../../core/limits.ts';
import { blockKey, blocksMissing, checkCarried, checkCid, isDirectoryCodec, isManifestCodec } from './block.ts';

export interface WalkSource {
  /** Size of a block that is here; undefined when it is not. */
  size(cid: CID): number | undefined;
  get(cid: CID): Promise<Uint8Array>;
}

export interface Walked {
  /** Key -> codec of every distinct block. */
  readonly members: ReadonlyMap<string, number>;
  readonly bytes: number;
}

/**
 * Visits every distinct block under `root` once. A manifest stands alone: it is no part of a folder, and its own links are not followed.
 * @throws RelaymintError CONTENT_NOT_FOUND (some blocks are missing), CONTENT_REFUSED (not ours to carry, too deep or too many).
 */
export async function walkDag(root: CID, source: WalkSource): Promise<Walked> {
  if (isManifestCodec(root)) return manifestOf(root, source);
  const members = new Map<string, number>();
  const waiting: { readonly cid: CID; readonly depth: number }[] = [{ cid: root, depth: 0 }];
  let bytes = 0;
  let missing = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { cid, depth } = next;
    const key = blockKey(checkCid(cid));
    const known = members.get(key);
    if (known === cid.code) continue;
    // The same bytes read once as a leaf and once as a node: the node's children count.
    if (known === undefined || isDirectoryCodec(cid)) members.set(key, cid.code);
    if (members.size > MAX_BLOCKS_PER_ROOT || depth > MAX_DAG_DEPTH) throw tooBig();
    const size = source.size(cid);
    if (size === undefined) {
      missing += 1;
      continue;
    }
    if (known === undefined) bytes += size;
    if (!isDirectoryCodec(cid)) continue;
    for (const link of linksOf(cid, await source.get(cid))) waiting.push({ cid: link, depth: depth + 1 });
  }
  if (missing > 0) throw blocksMissing(root, missing);
  return { members, bytes };
}

function manifestOf(root: CID, source: WalkSource): Walked {
  const bytes = source.size(checkCarried(root));
  if (bytes === undefined) throw blocksMissing(root, 1);
  if (bytes > MAX_MANIFEST_BYTES) {
    throw new RelaymintError('CONTENT_REFUSED', `A manifest has at most ${MAX_MANIFEST_BYTES} bytes, not ${bytes}.`, {
      remedy: 'Write less into it.',
    });
  }
  return { members: new Map([[blockKey(root), root.code]]), bytes };
}

/** Links of a directory or interior block. @throws RelaymintError CONTENT_REFUSED when it is not one. */
export function linksOf(cid: CID, block: Uint8Array): CID[] {
  try {
    return dagPb.decode(block).Links.map((link) => link.Hash);
  } catch (cause) {
    throw new RelaymintError('CONTENT_REFUSED', `${cid.toString()} is not a UnixFS block.`, {
      remedy: 'Publish the files again.',
      cause,
    });
  }
}

function tooBig(): RelaymintError {
  return new RelaymintError(
    'CONTENT_REFUSED',
    `The content is larger than ${MAX_BLOCKS_PER_ROOT} blocks or deeper than ${MAX_DAG_DEPTH} levels.`,
    { remedy: 'Split it over several names.' },
  );
}
