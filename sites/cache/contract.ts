/** What a gateway has fetched and verified, so that a visitor does not pay for it twice. */
import type { CID } from 'multiformats/cid';

/**
 * Blocks of sites. A block is found only by the site that it was fetched for (or by the site in the page of another), although its bytes would be the same for others: how
 * fast an answer comes must not tell one site what a visitor has seen of another.
 */
export interface BlockCache extends AsyncDisposable {
  /** Whether blocks of this kind are kept at all. */
  keeps(cid: CID): boolean;
  /** Verified bytes; undefined when they are not here, or no longer what they were. Never rejects. */
  get(site: string, cid: CID): Promise<Uint8Array | undefined>;
  /** `block` was verified. It is on its way to the disk when this returns; a failure there is logged and costs nothing else. */
  put(site: string, cid: CID, block: Uint8Array): void;
  /** What has to be on the disk is there. */
  settled(): Promise<void>;
}
