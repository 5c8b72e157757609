/** One block of a file or a folder, decoded within bounds. */
import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import type { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';

export interface UnixFsNode {
  readonly links: readonly dagPb.PBLink[];
  readonly unixfs: UnixFS;
}

/** A folder of two MiB, the largest block that IPFS tools pass on, has fewer. */
const MAX_LINKS = 65_536;
/** Widths of a folder's shards: IPFS tools write 256. */
const FANOUTS: ReadonlySet<bigint> = new Set([8n, 16n, 32n, 64n, 128n, 256n, 512n, 1024n]);

/** @throws RelaymintError CONTENT_REFUSED when it is none, has too many links, or shards of a width that makes no sense. */
export function decodeNode(cid: CID, block: Uint8Array): UnixFsNode {
  let node: UnixFsNode;
  try {
    const { Links: links, Data: data = new Uint8Array(0) } = dagPb.decode(block);
    node = { links, unixfs: UnixFS.unmarshal(data) };
  } catch (cause) {
    throw refused(cid, 'it is no file and no folder', cause);
  }
  const { links, unixfs } = node;
  if (links.length > MAX_LINKS) throw refused(cid, `it has ${links.length} links, more than ${MAX_LINKS}`);
  if (unixfs.type === 'hamt-sharded-directory' && !FANOUTS.has(unixfs.fanout ?? 256n)) {
    throw refused(cid, `its shards are ${unixfs.fanout} wide`);
  }
  return node;
}

/** What cannot be shown, and why. */
export function refused(cid: CID, why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('CONTENT_REFUSED', `${cid.toString()} is not UnixFS content: ${why}.`, {
    remedy: 'Its owner has to publish again with "relaymint site publish".',
    cause,
  });
}
