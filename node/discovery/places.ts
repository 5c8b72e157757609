/**
 * Which nodes keep a place in a full book. Identities, wallets and the addresses in an offer cost nothing, so a newcomer never takes
 * the place of an earlier node, unless somebody holds more than a share:
 *
 *   1. Of the groups of introducers the largest gives way, the newcomer counted in. With k groups in a book of n places,
 *      whatever one of them brings costs another one nothing while that holds n/k places or less.
 *   2. Within the group, a network that holds more than its part of the book gives way, otherwise any node.
 *   3. Of those, the one that came last gives way; one that was reached at its address only if all were.
 */
import type { NodeId } from '../../core/ids.ts';
import { MAX_OFFER_NETWORK_PARTS } from '../../core/limits.ts';
import type { UnixMillis } from '../../core/units.ts';
import { parseAddress, networkOfIp } from '../transport/index.ts';
import type { Introducers } from './contract.ts';
import type { SignedOffer } from '../offer/index.ts';

export interface Place {
  offer: SignedOffer;
  /** The offer is not given out from then on, whatever its own expiry. */
  until: UnixMillis;
  introducers: Introducers;
  network: string | undefined;
  /** Higher than that of each place that was taken before. */
  readonly since: number;
  /** A link was made to an address of this node. */
  reached: boolean;
  /** Only circuits that lead there brought it. */
  passing: boolean;
}

export class Places {
  readonly #limit: number;
  readonly #places = new Map<NodeId, Place>();
  readonly #sizes = new Map<Introducers, number>();
  #taken = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#places.size;
  }

  get isFull(): boolean {
    return this.#places.size >= this.#limit;
  }

  get(node: NodeId): Place | undefined {
    return this.#places.get(node);
  }

  values(): Iterable<Place> {
    return this.#places.values();
  }

  keys(): Iterable<NodeId> {
    return this.#places.keys();
  }

  take(offer: SignedOffer, introducers: Introducers, until: UnixMillis, passing: boolean): void {
    this.#taken += 1;
    const network = networkOf(offer);
    const place = { offer, until, introducers, network, since: this.#taken, reached: false, passing };
    this.#places.set(offer.nodeId, place);
    this.#grow(introducers, 1);
  }

  renew(place: Place, offer: SignedOffer, until: UnixMillis): void {
    place.offer = offer;
    place.until = until;
    place.network = networkOf(offer);
  }

  remove(node: NodeId): boolean {
    const place = this.#places.get(node);
    if (place === undefined) return false;
    this.#grow(place.introducers, -1);
    return this.#places.delete(node);
  }

  /** Others brought it too: it counts for the one that holds less, so that nobody brings it in order to crowd it out. */
  alsoFrom(place: Place, introducers: Introducers, passing: boolean): void {
    if (!passing) place.passing = false;
    if (this.#sizeOf(introducers) + 1 >= this.#sizeOf(place.introducers)) return;
    this.#grow(place.introducers, -1);
    place.introducers = introducers;
    this.#grow(introducers, 1);
  }

  /** The node that gives way to a newcomer in a full book; undefined if the newcomer does. `network` is undefined while it is unknown. */
  yielding(introducers: Introducers, network: string | undefined): Place | undefined {
    const largest = this.#largestWith(introducers);
    const joins = largest === introducers;
    const networks = new Map<string, number>();
    if (joins && network !== undefined) networks.set(network, 1);
    for (const place of this.#places.values()) {
      if (place.introducers !== largest || place.network === undefined) continue;
      networks.set(place.network, (networks.get(place.network) ?? 0) + 1);
    }
    let crowded: string | undefined;
    let most = this.#limit / MAX_OFFER_NETWORK_PARTS;
    for (const [name, count] of networks) {
      if (count <= most) continue;
      crowded = name;
      most = count;
    }
    if (joins && (crowded === undefined || crowded === network)) return undefined;
    let last: Place | undefined;
    for (const place of this.#places.values()) {
      if (place.introducers !== largest || (crowded !== undefined && place.network !== crowded)) continue;
      if (last === undefined || isLater(place, last)) last = place;
    }
    return last;
  }

  #largestWith(newcomer: Introducers): Introducers {
    let largest = newcomer;
    let most = this.#sizeOf(newcomer) + 1;
    for (const [introducers, size] of this.#sizes) {
      if (introducers === newcomer || size <= most) continue;
      largest = introducers;
      most = size;
    }
    return largest;
  }

  #sizeOf(introducers: Introducers): number {
    return this.#sizes.get(introducers) ?? 0;
  }

  #grow(introducers: Introducers, by: number): void {
    const size = this.#sizeOf(introducers) + by;
    if (size === 0) this.#sizes.delete(introducers);
    else this.#sizes.set(introducers, size);
  }
}

function isLater(place: Place, other: Place): boolean {
  return place.reached === other.reached ? place.since > other.since : other.reached;
}

/**
 * The /16 or, of IPv6, the /32 of its first public IP address. undefined if there is none: one machine has as many onion and
 * I2P addresses as it likes, and private addresses are for tests.
 */
export function networkOf({ addresses }: Pick<SignedOffer, 'addresses'>): string | undefined {
  for (const address of addresses) {
    const destination = parseAddress(address);
    const network = destination?.kind === 'tcp' ? networkOfIp(destination.host) : undefined;
    if (network !== undefined) return network;
  }
  return undefined;
}
