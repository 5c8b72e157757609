/** What offers say of who keeps a name. */
import type { NodeId } from '../../core/ids.ts';
import { CONTENT_SERVICE, PUBLISH_SERVICE } from '../../sites/blocks/index.ts';
import type { OfferBook } from '../../node/discovery/index.ts';
import { keepsName, priceOf } from '../../node/offer/index.ts';
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
