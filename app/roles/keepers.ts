/** What offers say of who keeps a name. */
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { formatBytes } from '../../core/units.ts';
import { CONTENT_SERVICE, PUBLISH_SERVICE } from '../../sites/blocks/index.ts';
import type { OfferBook } from '../../node/discovery/index.ts';
import { hasRoomFor, keepsName, priceOf } from '../../node/offer/index.ts';
import { sellersOf } from '../../node/tunnel/index.ts';

/** Hosts whose offers say that they keep the name, in random order. */
export function keepersOf(book: OfferBook, name: string): NodeId[] {
  return sellersOf(book, CONTENT_SERVICE).filter((host) => {
    const offer = book.get(host);
    return offer !== undefined && keepsName(offer, name);
  });
}

/** It serves what it keeps, and takes nothing more. */
export function isLeaving(book: Pick<OfferBook, 'get'>, host: NodeId): boolean {
  const offer = book.get(host);
  return offer !== undefined && priceOf(offer, PUBLISH_SERVICE) === undefined;
}

/** Says that it has no room for so much. One that keeps the name may need only what changed. */
export function isTooSmall(
  book: Pick<OfferBook, 'get'>,
  host: NodeId,
  { name, size }: { name: string; size: number },
): boolean {
  const offer = book.get(host);
  return offer !== undefined && !hasRoomFor(offer, size) && !keepsName(offer, name);
}

/** @throws RelaymintError STORAGE_FULL where hosts are known that take content, and each says that it has no room for so much. */
export function assertRoom(book: OfferBook, size: number): void {
  const takers = book.find(PUBLISH_SERVICE);
  if (takers.length === 0 || takers.some((offer) => hasRoomFor(offer, size))) return;
  throw new RelaymintError(
    'STORAGE_FULL',
    `Of ${takers.length} known hosts none says that it has room for ${formatBytes(size)}.`,
    {
      remedy: 'Name one with --host to ask it anyway, or give --bootstrap with a node that knows others.',
    },
  );
}
