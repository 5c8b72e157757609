/** Offers: what a node sells, at what price and where to reach it, signed by the node. */
export {
  hasRoomFor,
  isExpired,
  keepsName,
  peekOffer,
  priceOf,
  readOffer,
  signOffer,
  type Offer,
  type OfferFields,
  type OfferedService,
  type SignedOffer,
} from './offer.ts';
export { roundedRoom } from './room.ts';
export { OfferSequence, offerExpiry } from './sequence.ts';
