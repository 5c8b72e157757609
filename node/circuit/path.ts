/** Which nodes a circuit goes through. */
import { randomInt } from 'node:crypto';
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { amount, formatCredits, type Amount, type PricePerMiB } from '../../core/units.ts';
import type { SignedOffer } from '../discovery/offer.ts';
import {
  RELAY_SERVICE,
  defaultMaxPrice,
  marketPrice,
  priced,
  shuffledByPrice,
  type KnownOffers,
  type Priced,
} from './price.ts';

const RANDOM_STEPS = 2 ** 32;

export interface PathChoice {
  readonly offers: KnownOffers;
  readonly service: string;
  readonly target: NodeId | undefined;
  /** Relays in front of the last hop. */
  readonly relays: number;
  readonly self: NodeId;
  /** Nodes that failed lately: used only when there are not enough others. */
  readonly avoid: ReadonlySet<NodeId>;
  /** What all hops together may ask for a MiB; `defaultMaxPrice` when absent. */
  readonly maxPrice?: PricePerMiB | undefined;
  readonly random: () => number;
}

/** 0 <= x < 1, from the system's generator: who is on a path must not be guessable. */
export function secureRandom(): number {
  return randomInt(RANDOM_STEPS) / RANDOM_STEPS;
}

/**
 * Distinct random relays and a last hop, cheaper ones more often (`shuffledByPrice`), together never above the limit.
 * @throws RelaymintError NO_ROUTE; when the price is why, its details have `cheapest` and `limit`, base units per MiB.
 */
export function choosePath(choice: PathChoice): SignedOffer[] {
  const { offers, service, target, relays, self } = choice;
  const hosts = priced(offers.find(service), service).filter(
    ({ offer: { nodeId } }) => nodeId !== self && (target === undefined || nodeId === target),
  );
  const others = priced(offers.find(RELAY_SERVICE), RELAY_SERVICE).filter(({ offer }) => offer.nodeId !== self);
  refuseTooFew(choice, hosts, others);
  const limit = choice.maxPrice ?? defaultMaxPrice(offers, service, relays);
  const path = pick(choice, unspoilt(choice, { hosts, others }), limit) ?? pick(choice, { hosts, others }, limit);
  if (path === undefined) throw tooDear(choice, cheapestPath({ hosts, others }, relays), limit);
  return path.map(({ offer }) => offer);
}

interface Candidates {
  /** Cheapest first, both. */
  readonly hosts: readonly Priced[];
  readonly others: readonly Priced[];
}

/** undefined when there are not enough of them, or no path over them is cheap enough. */
function pick(choice: PathChoice, { hosts, others }: Candidates, limit: bigint): Priced[] | undefined {
  const { offers, service, relays, random } = choice;
  const asRelay = new Map(others.map((other) => [other.offer.nodeId, other]));
  const affordable = hosts.filter((host) => {
    const itself = asRelay.get(host.offer.nodeId);
    const enough = others.length - (itself === undefined ? 0 : 1) >= relays;
    return enough && host.price + cheapestSum(others, new Set([itself]), relays) <= limit;
  });
  const [host] = preferred(shuffledByPrice(affordable, marketPrice(offers, service), random), choice);
  if (host === undefined) return undefined;
  const usable = others.filter(({ offer }) => offer.nodeId !== host.offer.nodeId);
  const order = preferred(shuffledByPrice(usable, marketPrice(offers, RELAY_SERVICE), random), choice);
  const drawn = draw(order, usable, { count: relays, limit: limit - host.price });
  // Where a node stands on the path must not tell what it asks.
  const placed = drawn.map((hop) => ({ hop, at: random() })).sort((a, b) => a.at - b.at);
  return [...placed.map(({ hop }) => hop), host];
}

/** Those who offer a service, in random order, cheaper ones earlier more often (`shuffledByPrice`). */
export function sellersOf(offers: KnownOffers, service: string, random: () => number = secureRandom): NodeId[] {
  const sellers = shuffledByPrice(priced(offers.find(service), service), marketPrice(offers, service), random);
  return sellers.map(({ offer }) => offer.nodeId);
}

function refuseTooFew(choice: PathChoice, hosts: readonly Priced[], others: readonly Priced[]): void {
  const { service, target, relays } = choice;
  const [host] = hosts;
  if (host === undefined) {
    const whom = target === undefined ? 'No node' : `The node ${target} is not known to be one that`;
    throw new RelaymintError('NO_ROUTE', `${whom} offers "${service}".`, {
      remedy: 'Wait for discovery, or name a bootstrap peer that knows one.',
    });
  }
  const known = hosts.length === 1 ? others.filter(({ offer }) => offer.nodeId !== host.offer.nodeId) : others;
  if (known.length < relays) {
    throw new RelaymintError('NO_ROUTE', `${relays} relays are wanted and ${known.length} are known.`, {
      remedy: 'Ask for fewer relays, or name bootstrap peers that know more.',
      details: { wanted: relays, known: known.length },
    });
  }
}

/** Without the nodes to avoid: a dearer path is better than one that just failed. */
function unspoilt({ avoid }: PathChoice, { hosts, others }: Candidates): Candidates {
  const fresh = ({ offer }: Priced): boolean => !avoid.has(offer.nodeId);
  return { hosts: hosts.filter(fresh), others: others.filter(fresh) };
}

/** The same order, but those to avoid last. */
function preferred(order: readonly Priced[], { avoid }: PathChoice): Priced[] {
  return [
    ...order.filter(({ offer }) => !avoid.has(offer.nodeId)),
    ...order.filter(({ offer }) => avoid.has(offer.nodeId)),
  ];
}

/**
 * The first `count` in this order that leave enough for the cheapest of the rest. The limit covers the `count` cheapest, so
 * there always are as many.
 */
function draw(
  order: readonly Priced[],
  cheapest: readonly Priced[],
  { count, limit }: { readonly count: number; readonly limit: bigint },
): Priced[] {
  const drawn = new Set<Priced>();
  let left = limit;
  for (const candidate of order) {
    if (drawn.size === count) break;
    drawn.add(candidate);
    if (candidate.price + cheapestSum(cheapest, drawn, count - drawn.size) <= left) left -= candidate.price;
    else drawn.delete(candidate);
  }
  return [...drawn];
}

/** What the first `count` cost that are not among those `without`. */
function cheapestSum(cheapest: readonly Priced[], without: ReadonlySet<Priced | undefined>, count: number): bigint {
  let sum = 0n;
  let counted = 0;
  for (const candidate of cheapest) {
    if (counted === count) break;
    if (without.has(candidate)) continue;
    sum += candidate.price;
    counted += 1;
  }
  return sum;
}

function cheapestPath({ hosts, others }: Candidates, relays: number): Amount {
  const asRelay = new Map(others.map((other) => [other.offer.nodeId, other]));
  const [first = 0n, ...rest] = hosts.map(
    (host) => host.price + cheapestSum(others, new Set([asRelay.get(host.offer.nodeId)]), relays),
  );
  return amount(rest.reduce((least, sum) => (sum < least ? sum : least), first));
}

function tooDear({ service, target }: PathChoice, cheapest: Amount, limit: PricePerMiB): RelaymintError {
  const where = target === undefined ? `"${service}"` : `"${service}" at ${target}`;
  return new RelaymintError(
    'NO_ROUTE',
    `The cheapest path to ${where} costs ${formatCredits(cheapest)} credits a MiB, more than the limit of ${formatCredits(limit)}.`,
    {
      remedy: 'Wait for cheaper nodes, or allow more with --max-price.',
      details: { cheapest: cheapest.toString(), limit: limit.toString() },
    },
  );
}
