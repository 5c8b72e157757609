/** Rules for a single block: which CIDs are accepted and how a block is checked. */
import { createHash } from 'node:crypto';
import * as dagCbor from '@ipld/dag-cbor';
import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { base32upper } from 'multiformats/bases/base32';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import * as Digest from 'multiformats/hashes/digest';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_BLOCK_BYTES, MAX_CID_BYTES } from '../../core/limits.ts';

const SHA2_256 = 0x12;
const SHA2_256_BYTES = 32;

/** Refuses CIDs that files and folders do not have. @throws RelaymintError CONTENT_REFUSED. */
export function checkCid(cid: CID): CID {
  checkHash(cid);
  if (cid.code !== dagPb.code && cid.code !== raw.code) {
    throw new RelaymintError('CONTENT_REFUSED', `${cid.toString()} is not UnixFS content.`, {
      remedy: 'Only files and folders are supported; publish them with "relaymint site publish".',
    });
  }
  return cid;
}

/** Refuses CIDs that Relaymint does not carry: files, folders, and manifests, which stand alone. @throws RelaymintError CONTENT_REFUSED. */
export function checkCarried(cid: CID): CID {
  return isManifestCodec(cid) ? checkHash(cid) : checkCid(cid);
}

function checkHash(cid: CID): CID {
  if (cid.multihash.code === SHA2_256 && cid.multihash.digest.length === SHA2_256_BYTES) return cid;
  throw new RelaymintError('CONTENT_REFUSED', `${cid.toString()} is not hashed with SHA2-256.`, {
    remedy: 'Publish the files again with "relaymint site publish".',
  });
}

/** Decodes and checks a binary CID from the wire. @throws RelaymintError INVALID_ENCODING, CONTENT_REFUSED. */
export function decodeCid(bytes: Uint8Array): CID {
  let cid: CID;
  try {
    if (bytes.length > MAX_CID_BYTES) throw new RangeError(`${bytes.length} bytes`);
    cid = CID.decode(bytes);
  } catch (cause) {
    throw new RelaymintError('INVALID_ENCODING', 'Malformed CID.', { cause });
  }
  return checkCarried(cid);
}

export function isDirectoryCodec(cid: CID): boolean {
  return cid.code === dagPb.code;
}

/** Types of UnixFS nodes that lead to files. */
const LEADING: ReadonlySet<string> = new Set(['directory', 'hamt-sharded-directory', 'symlink']);

/** Whether it has bytes of a file in it, and not only what leads to them: trees of files may have both. What cannot be read is taken for bytes. */
export function holdsFileBytes(cid: CID, block: Uint8Array): boolean {
  if (!isDirectoryCodec(cid)) return !isManifestCodec(cid);
  try {
    const { Data: said } = dagPb.decode(block);
    if (said === undefined) return false;
    const { type, data } = UnixFS.unmarshal(said);
    return !LEADING.has(type) && data !== undefined && data.length > 0;
  } catch {
    return true;
  }
}

/** A block that is kept by itself: what it links to is neither read nor kept with it. */
export function isManifestCodec(cid: CID): boolean {
  return cid.code === dagCbor.code;
}

/** @throws RelaymintError CONTENT_CORRUPT when the bytes are not what the CID names, LIMIT_EXCEEDED when there are too many. */
export function verifyBlock(cid: CID, block: Uint8Array): void {
  checkCarried(cid);
  if (block.length > MAX_BLOCK_BYTES) throw blockTooBig(block.length);
  const digest = createHash('sha256').update(block).digest();
  if (!digest.equals(cid.multihash.digest)) {
    throw new RelaymintError('CONTENT_CORRUPT', `The bytes delivered for ${cid.toString()} are not that block.`, {
      remedy: 'The block is requested from another host.',
    });
  }
}

export function blockTooBig(length: number): RelaymintError {
  return new RelaymintError(
    'LIMIT_EXCEEDED',
    `A block of ${length} bytes is larger than the limit of ${MAX_BLOCK_BYTES}.`,
    {
      remedy: 'Split a folder with that many entries into several.',
    },
  );
}

/** The name of a block's file and records: two CIDs of the same bytes share it. */
export function blockKey(cid: CID): string {
  return base32upper.encode(cid.multihash.bytes);
}

/** The key that a block of these bytes has. */
export function keyOfBytes(block: Uint8Array): string {
  return base32upper.encode(Digest.create(SHA2_256, createHash('sha256').update(block).digest()).bytes);
}

export function blockMissing(cid: CID): RelaymintError {
  return new RelaymintError('CONTENT_NOT_FOUND', `The block ${cid.toString()} is not stored here.`, {
    remedy: 'Ask another host, or publish the site again.',
  });
}

/** Some of a root's blocks are not here. */
export function blocksMissing(root: CID, missing: number): RelaymintError {
  return new RelaymintError('CONTENT_NOT_FOUND', `${missing} blocks under ${root.toString()} are missing.`, {
    remedy: 'Publish again: only what is missing is sent.',
    details: { missing },
  });
}
