/** Discovery: signed offers, the book of them, and the exchange between linked peers. */

export type { Discovery, DiscoveryOptions, OfferBook, OfferBookOptions, PeerAddress } from './contract.ts';
export { createOfferBook } from './book.ts';
export { createDiscovery } from './exchange.ts';
export { formatPeer, parsePeer } from './peer.ts';
