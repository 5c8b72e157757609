/** The operators behind offers: wallets, which sign for their nodes, and networks, which nodes say they are in. */
import type { SignedOffer } from '../offer/index.ts';
import { networkOfIp, parseAddress } from '../transport/index.ts';

const known = new WeakMap<SignedOffer, ReadonlySet<string>>();

/**
 * The networks of an offer's public IP addresses: the first 16 bits of IPv4, the first 32 of IPv6. None for onion and garlic
 * addresses, for names (nobody is asked for them) and for addresses of private networks, which mean another place in each of them.
 */
export function networksOf(offer: SignedOffer): ReadonlySet<string> {
  const found = known.get(offer) ?? new Set(offer.addresses.flatMap(networkOf));
  known.set(offer, found);
  return found;
}

/** One wallet earns for both, or both say that they are in the same network. */
export function areOneOperator(a: SignedOffer, b: SignedOffer): boolean {
  if (a.wallet === b.wallet) return true;
  const networks = networksOf(b);
  for (const network of networksOf(a)) if (networks.has(network)) return true;
  return false;
}

function networkOf(address: string): readonly string[] {
  const destination = parseAddress(address);
  const network = destination?.kind === 'tcp' ? networkOfIp(destination.host) : undefined;
  return network === undefined ? [] : [network];
}
