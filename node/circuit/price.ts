/** What circuits may cost, and how prices decide which nodes are chosen. */
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { MAX_MEDIAN_PRICES, MAX_ONWARD_PRICE, PRICE_LIMIT_MEDIANS, USUAL_PRICE } from '../../core/limits.ts';
import { pricePerMiB, type PricePerMiB } from '../../core/units.ts';
import { priceOf, type SignedOffer } from '../offer/index.ts';

/** The service that carries circuits onward. */
export const RELAY_SERVICE = 'relay';

/** Offers that are known now (an OfferBook is one). */
export interface KnownOffers {
  find(service: string): readonly SignedOffer[];
}

/** An offer and what it asks for one service. */
export interface Priced {
  readonly offer: SignedOffer;
  readonly price: PricePerMiB;
}

/** Those that offer the service, cheapest first. */
export function priced(offers: readonly SignedOffer[], service: string): Priced[] {
  return offers
    .flatMap((offer) => {
      const price = priceOf(offer, service);
      return price === undefined ? [] : [{ offer, price }];
    })
    .sort((a, b) => (a.price < b.price ? -1 : a.price > b.price ? 1 : 0));
}

/**
 * What the market asks for a service: the median over the cheapest offer of each wallet, taken as at least `USUAL_PRICE`
 * and at most `MAX_MEDIAN_PRICES` times that. Identities and wallets cost nothing, so whoever makes most of them controls the
 * median: raised, it would let expensive nodes pass; lowered, it would shut the honest out.
 */
export function marketPrice(offers: KnownOffers, service: string): PricePerMiB {
  const byWallet = new Map<LedgerAddress, bigint>();
  for (const { offer, price } of priced(offers.find(service), service)) {
    if (!byWallet.has(offer.wallet)) byWallet.set(offer.wallet, price);
  }
  // Inserted cheapest first.
  const prices = [...byWallet.values()];
  const median = prices[(prices.length - 1) >> 1] ?? 0n;
  const most = USUAL_PRICE * MAX_MEDIAN_PRICES;
  return pricePerMiB(median < USUAL_PRICE ? USUAL_PRICE : median > most ? most : median);
}

/** The limit when the operator gave none: `PRICE_LIMIT_MEDIANS` times what the market asks for such a circuit. */
export function defaultMaxPrice(offers: KnownOffers, service: string, relays: number): PricePerMiB {
  const circuit = marketPrice(offers, service) + BigInt(relays) * marketPrice(offers, RELAY_SERVICE);
  return pricePerMiB(circuit * PRICE_LIMIT_MEDIANS);
}

/**
 * A relay's answer to an EXTEND that tells it what to pay the next hop.
 * @param limit what the operator allows; `MAX_ONWARD_PRICE` when absent.
 */
export function onwardPriceAllowed(price: PricePerMiB, limit: PricePerMiB = MAX_ONWARD_PRICE): boolean {
  return price <= limit;
}

/** What a hop is paid: its own price and all that it pays onward. @throws RelaymintError PRICE_TOO_HIGH, with the hop to blame. */
export function addPrices(own: PricePerMiB, onward: bigint, hop: number): PricePerMiB {
  try {
    return pricePerMiB(own + onward);
  } catch (cause) {
    throw new RelaymintError(
      'PRICE_TOO_HIGH',
      `A circuit through hop ${hop} would cost more than the highest possible price.`,
      {
        remedy: 'Choose another node there.',
        details: { hop },
        cause,
      },
    );
  }
}

/** What each hop of a circuit over this path asks for itself; the last one for `service`. One that does not offer it asks nothing. */
export function pricesOfPath(path: readonly SignedOffer[], service: string): readonly PricePerMiB[] {
  return path.map((offer, hop) => priceOf(offer, hop === path.length - 1 ? service : RELAY_SERVICE) ?? pricePerMiB(0n));
}

/** What all of them ask together. @throws RelaymintError PRICE_TOO_HIGH. */
export function priceOfPath(path: readonly SignedOffer[], service: string): PricePerMiB {
  return pricesOfPath(path, service).reduce((sum, own, hop) => addPrices(own, sum, hop), pricePerMiB(0n));
}

/**
 * In random order. The chance of one to come before another follows the weights 1 / (1 + (price / market)^2): a node that asks
 * the market price comes half as often as one that asks nothing, twice the market a fifth, three times a tenth. So undercutting
 * everybody attracts at most twice an honest node's share: giving service away must not buy all the paths. The nodes of one
 * wallet share one weight: more keys get no more.
 */
export function shuffledByPrice(candidates: readonly Priced[], market: PricePerMiB, random: () => number): Priced[] {
  const nodes = new Map<LedgerAddress, number>();
  for (const { offer } of candidates) nodes.set(offer.wallet, (nodes.get(offer.wallet) ?? 0) + 1);
  const share = ({ offer, price }: Priced): number => weight(price, market) / (nodes.get(offer.wallet) ?? 1);
  // The exponential race: the k-th to finish is the k-th drawn without putting back.
  return candidates
    .map((candidate) => ({ candidate, at: -Math.log(1 - random()) / share(candidate) }))
    .sort((a, b) => a.at - b.at)
    .map(({ candidate }) => candidate);
}

function weight(price: PricePerMiB, market: PricePerMiB): number {
  const ratio = Number(price) / Number(market);
  return 1 / (1 + ratio * ratio);
}
