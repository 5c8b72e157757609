/** Who stands behind offers: wallets, which sign for their nodes, and networks, which nodes say they are in. */
import { isIPv4 } from 'node:net';
import type { SignedOffer } from '../discovery/offer.ts';
import { isPublicIp, parseAddress } from '../transport/index.ts';

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
  if (destination?.kind !== 'tcp' || !isPublicIp(destination.host)) return [];
  const { host } = destination;
  if (isIPv4(host)) return [`ip4 ${host.split('.', 2).join('.')}`];
  // As URLs write it: the shortest way, always the same. Two colons after the first group stand for zeros.
  const [first, second] = new URL(`http://[${host}]`).hostname.slice(1, -1).split(':', 2);
  return [`ip6 ${first}:${second === '' ? '0' : second}`];
}
