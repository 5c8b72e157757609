/** Which nodes a circuit goes through. */
import { randomInt } from 'node:crypto';
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { amount, formatCredits, type PricePerMiB } from '../../core/units.ts';
import type { SignedOffer } from '../offer/index.ts';
import { areOneOperator } from './operators.ts';
import {
  RELAY_SERVICE,
  defaultMaxPrice,
  marketPrice,
  priced,
  shuffledByPrice,
  type KnownOffers,
  type Priced,
} from '../circuit/index.ts';

const RANDOM_STEPS = 2 ** 32;
/** Choices looked at before the cheapest ones are taken instead: where operators rarely collide, the first ones fit. */
const MOST_LOOKS = 1_000;
/** Last hops tried for a path: nearly always one of the first allows one. */
const MOST_HOSTS = 4;
/** The cost if there are too few hops. */
const BEYOND_ANY_LIMIT = 1n << 63n;

export interface PathChoice {
  readonly offers: KnownOffers;
  readonly service: string;
  readonly target: NodeId | undefined;
  /** Relays in front of the last hop. */
  readonly relays: number;
  readonly self: NodeId;
  /** Nodes that failed lately: used only if there are not enough others. It does not affect the choice of the first relay. */
  readonly avoid: ReadonlySet<NodeId>;
  /** Candidates for the first relay: the first of these with which there is a path. Default: any relay. */
  readonly guards?: readonly NodeId[] | undefined;
  /** The last relay, where a path can end there. */
  readonly lastRelay?: NodeId | undefined;
  /** What all hops together may ask for a MiB; `defaultMaxPrice` when absent. */
  readonly maxPrice?: PricePerMiB | undefined;
  readonly random: () => number;
}

/** 0 <= x < 1, from the system's generator: who is on a path must not be guessable. */
export function secureRandom(): number {
  return randomInt(RANDOM_STEPS) / RANDOM_STEPS;
}

/**
 * Random relays and a last hop, cheaper ones more often (`shuffledByPrice`), together never above the limit. No two relays are
 * of one operator, and no relay is of the last hop's wallet. What the last hop says about its network excludes nobody: otherwise it could
 * choose among the guards of its visitors.
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
  const path = pick(choice, { hosts, others }, limit);
  if (path !== undefined) return path.map(({ offer }) => offer);
  const cheapest = cheapestPath({ hosts, others }, relays);
  if (choice.guards !== undefined && pick({ ...choice, guards: undefined }, { hosts, others }, limit) !== undefined)
    throw noGuard(choice.guards.length, limit);
  const dear = cheapest > limit && cheapest < BEYOND_ANY_LIMIT;
  throw dear ? tooDear(choice, cheapest, limit) : tooFew(relays, 'and those known are too close to each other');
}

interface Candidates {
  /** Cheapest first, both. */
  readonly hosts: readonly Priced[];
  readonly others: readonly Priced[];
}

/** undefined when no path over them is cheap enough, or too few operators are behind them. */
function pick(choice: PathChoice, { hosts, others }: Candidates, limit: bigint): Priced[] | undefined {
  const { offers, service, random } = choice;
  const affordable = hosts.filter((host) => host.price + cheapestSum(others, [host], choice.relays) <= limit);
  const order = preferred(shuffledByPrice(affordable, marketPrice(offers, service), random), choice);
  for (const host of order.slice(0, MOST_HOSTS)) {
    const usable = others.filter(
      ({ offer }) => offer.nodeId !== host.offer.nodeId && offer.wallet !== host.offer.wallet,
    );
    const relays = pickRelays(choice, usable, limit - host.price);
    if (relays !== undefined) return [...relays, host];
  }
  return undefined;
}

/** Puts relays in their places. `usable` is cheapest first. */
function pickRelays(choice: PathChoice, usable: readonly Priced[], limit: bigint): Priced[] | undefined {
  const { offers, relays: count, random, guards, lastRelay } = choice;
  if (count === 0) return [];
  const order = preferred(shuffledByPrice(usable, marketPrice(offers, RELAY_SERVICE), random), choice);
  if (guards === undefined) {
    const drawn = draw([], { order, usable, count, limit });
    return drawn === undefined ? undefined : shuffled(drawn, random);
  }
  const byId = new Map(usable.map((one) => [one.offer.nodeId, one]));
  const last = count > 1 && lastRelay !== undefined ? byId.get(lastRelay) : undefined;
  for (const id of guards) {
    const guard = byId.get(id);
    if (guard === undefined) continue;
    const kept =
      last === undefined || last === guard ? undefined : draw([guard, last], { order, usable, count, limit });
    if (kept !== undefined) return [guard, ...shuffled(kept.slice(2), random), kept[1] as Priced];
    const drawn = draw([guard], { order, usable, count, limit });
    if (drawn !== undefined) return [guard, ...shuffled(drawn.slice(1), random)];
  }
  return undefined;
}

/** A node's place on the path must not depend on its price. */
function shuffled(hops: readonly Priced[], random: () => number): Priced[] {
  const placed = hops.map((hop) => ({ hop, at: random() })).sort((a, b) => a.at - b.at);
  return placed.map(({ hop }) => hop);
}

interface Draw {
  /** The preferred nodes. */
  readonly order: readonly Priced[];
  /** The same, cheapest first. */
  readonly usable: readonly Priced[];
  readonly count: number;
  readonly limit: bigint;
}

/** These, and the first ones in the order that fit with them, `count` in all; undefined if there are none within the limit. */
function draw(begun: readonly Priced[], { order, usable, count, limit }: Draw): Priced[] | undefined {
  const left = begun.reduce((rest, { price }) => rest - price, limit);
  if (left < 0n || begun.some((one, index) => !isApart(one, begun.slice(0, index)))) return undefined;
  for (const candidates of [order, usable]) {
    const found = complete(begun, left, { candidates, usable, count, looks: MOST_LOOKS }, 0);
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Search {
  readonly candidates: readonly Priced[];
  readonly usable: readonly Priced[];
  readonly count: number;
  looks: number;
}

function complete(drawn: readonly Priced[], left: bigint, search: Search, from: number): Priced[] | undefined {
  const { candidates, usable, count } = search;
  if (drawn.length >= count) return [...drawn];
  for (let index = from; index < candidates.length && search.looks > 0; index += 1) {
    search.looks -= 1;
    const candidate = candidates[index] as Priced;
    if (!isApart(candidate, drawn)) continue;
    const more = [...drawn, candidate];
    if (candidate.price + cheapestSum(usable, more, count - more.length) > left) continue;
    const found = complete(more, left - candidate.price, search, index + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isApart({ offer }: Priced, others: readonly Priced[]): boolean {
  return others.every((other) => other.offer !== offer && !areOneOperator(offer, other.offer));
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
    const whom = target === undefined ? 'No node' : `The node ${target} is not known as one that`;
    throw new RelaymintError('NO_ROUTE', `${whom} offers "${service}".`, {
      remedy: 'Wait for discovery, or name a bootstrap peer that knows one.',
    });
  }
  const apart = hosts.length === 1 ? others.filter(({ offer }) => offer.wallet !== host.offer.wallet) : others;
  const known = new Set(apart.map(({ offer }) => offer.wallet)).size;
  if (known < relays) throw tooFew(relays, `and ${known} are known`, { wanted: relays, known });
}

function tooFew(relays: number, found: string, details: Readonly<Record<string, number>> = {}): RelaymintError {
  return new RelaymintError('NO_ROUTE', `${relays} relays of different operators are needed ${found}.`, {
    remedy: 'Ask for fewer relays, or name bootstrap peers that know more.',
    details,
  });
}

/** The same order, with those to avoid last. */
function preferred(order: readonly Priced[], { avoid }: PathChoice): Priced[] {
  return [
    ...order.filter(({ offer }) => !avoid.has(offer.nodeId)),
    ...order.filter(({ offer }) => avoid.has(offer.nodeId)),
  ];
}

/**
 * What the first `count` cost that are of other wallets than `without` and than each other. Nothing is cheaper; where networks
 * collide, it costs more.
 */
function cheapestSum(cheapest: readonly Priced[], without: readonly Priced[], count: number): bigint {
  if (count <= 0) return 0n;
  const wallets = new Set(without.map(({ offer }) => offer.wallet));
  let sum = 0n;
  let counted = 0;
  for (const { offer, price } of cheapest) {
    if (wallets.has(offer.wallet)) continue;
    wallets.add(offer.wallet);
    sum += price;
    counted += 1;
    if (counted === count) return sum;
  }
  return BEYOND_ANY_LIMIT;
}

function cheapestPath({ hosts, others }: Candidates, relays: number): bigint {
  const [first = 0n, ...rest] = hosts.map((host) => host.price + cheapestSum(others, [host], relays));
  return rest.reduce((least, sum) => (sum < least ? sum : least), first);
}

function noGuard(count: number, limit: PricePerMiB): RelaymintError {
  return new RelaymintError(
    'NO_ROUTE',
    `None of the ${count} guards of this node can begin a path within the limit of ${formatCredits(limit)} credits a MiB.`,
    {
      remedy:
        'Wait until more of the guards are up, or allow more with --max-price. No new guards are drawn for an expensive host.',
      details: { guards: count, limit: limit.toString() },
    },
  );
}

function tooDear({ service, target }: PathChoice, cheapest: bigint, limit: PricePerMiB): RelaymintError {
  const where = target === undefined ? `"${service}"` : `"${service}" at ${target}`;
  return new RelaymintError(
    'NO_ROUTE',
    `The cheapest path to ${where} costs ${formatCredits(amount(cheapest))} credits a MiB, more than the limit of ${formatCredits(limit)}.`,
    {
      remedy: 'Wait for cheaper nodes, or allow more with --max-price.',
      details: { cheapest: cheapest.toString(), limit: limit.toString() },
    },
  );
}
