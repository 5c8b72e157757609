/** Offers: what a node sells, at what price and where it is reached, signed by it. */
export {
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
  walletBindingMessage,
} from './offer.ts';
export { OfferSequence, offerExpiry } from './sequence.ts';
