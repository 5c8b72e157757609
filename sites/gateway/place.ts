/** Where the content that a request asks for begins, and how its addresses are written. */
import type { CID } from 'multiformats/cid';
import type { BlockReader } from '../blocks/contract.ts';
import type { Appendix } from './appendix.ts';
import type { Declared } from './declared.ts';

export interface Place {
  readonly root: CID;
  readonly blocks: BlockReader;
  /** What stands before the path below the root in an address of this origin: nothing on an origin of its own, or `/ipfs/CID`. */
  readonly base: string;
  /** Path of the root wherever it is served: `/ipfs/CID`, `/ipns/NAME` (header X-Ipfs-Path). */
  readonly canonical: string;
  /** For people: the name, or the CID. */
  readonly title: string;
  /** The address names the bytes, so that an answer never changes. A name may move on. */
  readonly immutable: boolean;
  /** Has an origin of its own: its `_redirects`, its `404.html` and addresses without `.html` count. */
  readonly ownOrigin: boolean;
  /** The name whose page embeds it; absent: the visitor went there. What is said, and what is known of it, is not the same in every page. */
  readonly page?: string | undefined;
  /** What a manifest says that pictures and films here are. Absent: nobody says anything. */
  readonly declared?: Declared | undefined;
  readonly appendix?: Appendix;
}

/** The path below the root, as it was sent; slashes that follow each other are one where a site has an origin, as other servers have it. */
export function pathBelow({ base, ownOrigin }: Pick<Place, 'base' | 'ownOrigin'>, path: string): string {
  const below = path.slice(base.length) || '/';
  return ownOrigin ? below.replaceAll(/\/{2,}/g, '/') : below;
}

/** What a path names below a root. undefined when it cannot name anything: bad escapes, empty or hidden-slash segments. */
export function splitPath(
  path: string,
): { readonly segments: readonly string[]; readonly folder: boolean } | undefined {
  const raw = path.split('/').slice(1);
  const folder = raw.at(-1) === '';
  if (folder) raw.pop();
  try {
    const segments = raw.map((segment) => decodeURIComponent(segment));
    return segments.some((segment) => segment === '' || segment.includes('\0')) ? undefined : { segments, folder };
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
