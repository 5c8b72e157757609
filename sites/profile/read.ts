/** The profile that lies in the content of a name. */
import type { CID } from 'multiformats/cid';
import { concatBytes } from '../../core/codec.ts';
import { MAX_PROFILE_BYTES } from '../../core/limits.ts';
import type { BlockReader } from '../blocks/contract.ts';
import { follow, openNode, readFile } from '../unixfs/index.ts';
import { decodeProfile, profileInvalid } from './block.ts';
import type { SignedProfile } from './contract.ts';

const SEGMENTS = ['.well-known', 'relaymint-profile'];
/** Where it lies, in every `.sso` name that has one. */
export const PROFILE_PATH: string = SEGMENTS.join('/');

/**
 * What it says; whether it may say so is `checkProfile`'s. Three small blocks are asked for.
 * @returns undefined: the content has none. @throws RelaymintError PROFILE_INVALID; what the reader throws.
 */
export async function profileIn(
  blocks: BlockReader,
  { name, root }: { readonly name: string; readonly root: CID },
  options: { readonly signal?: AbortSignal } = {},
): Promise<SignedProfile | undefined> {
  const trail = await follow(blocks, root, SEGMENTS, options);
  if (trail === undefined) return undefined;
  const node = await openNode(blocks, trail.cid, options);
  if (node.type !== 'file') throw profileInvalid(name, 'is no file');
  if (node.size > MAX_PROFILE_BYTES)
    throw profileInvalid(name, `has ${node.size} bytes, and at most ${MAX_PROFILE_BYTES} are allowed`);
  const parts: Uint8Array[] = [];
  for await (const part of readFile(blocks, node, undefined, options)) parts.push(part);
  return decodeProfile(name, concatBytes(...parts));
}
