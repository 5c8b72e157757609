/** The offers a node knows of others. */
import type { NodeId } from '../../core/ids.ts';
import { MAX_OFFERS, OFFER_KEPT_MILLIS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import { unixMillis } from '../../core/units.ts';
import type { Introducers, OfferBook, OfferBookOptions } from './contract.ts';
import { isExpired, priceOf, type SignedOffer } from '../offer/index.ts';
import { Places, networkOf } from './places.ts';

export function createOfferBook({ clock, limit = MAX_OFFERS }: OfferBookOptions): OfferBook {
  return new Book(clock, limit);
}

class Book implements OfferBook {
  readonly #clock: Clock;
  readonly #places: Places;
  readonly #listeners = new Set<(offer: SignedOffer) => void>();
  /** By node id; rebuilt when it is needed after a node came or went. */
  #ordered: NodeId[] | undefined;

  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#places = new Places(limit);
  }

  get size(): number {
    this.#dropExpired();
    return this.#places.size;
  }

  add(offer: SignedOffer, introducers: Introducers = 'presented', passing = false): boolean {
    const now = this.#clock.now();
    // The offer of a node that sells nothing is neither kept nor passed on.
    if (offer.services.length === 0 || isExpired(offer, now)) return false;
    // An expired offer does not count: neither its sequence nor its presence.
    const known = this.get(offer.nodeId) === undefined ? undefined : this.#places.get(offer.nodeId);
    const until = unixMillis(Math.min(offer.expires, now + OFFER_KEPT_MILLIS));
    if (known !== undefined) {
      this.#places.alsoFrom(known, introducers, passing);
      if (known.offer.sequence >= offer.sequence) return false;
      this.#places.renew(known, offer, until);
    } else {
      if (!this.#makeRoom(introducers, networkOf(offer))) return false;
      this.#places.take(offer, introducers, until, passing);
      this.#ordered = undefined;
    }
    for (const listener of this.#listeners) listener(offer);
    return true;
  }

  alsoFrom(node: NodeId, introducers: Introducers, passing = false): void {
    const known = this.#places.get(node);
    if (known !== undefined) this.#places.alsoFrom(known, introducers, passing);
  }

  dropPassing(node: NodeId): void {
    const known = this.#places.get(node);
    if (known?.passing === true && !known.reached) this.remove(node);
  }

  reached(node: NodeId): void {
    const known = this.#places.get(node);
    if (known !== undefined) known.reached = true;
  }

  wasReached(node: NodeId): boolean {
    return this.#places.get(node)?.reached === true;
  }

  hasRoomFor(introducers: Introducers): boolean {
    if (this.#places.isFull) this.#dropExpired();
    return !this.#places.isFull || this.#places.yielding(introducers, undefined) !== undefined;
  }

  get(node: NodeId): SignedOffer | undefined {
    const place = this.#places.get(node);
    if (place === undefined || place.until > this.#clock.now()) return place?.offer;
    this.remove(node);
    return undefined;
  }

  find(service: string): SignedOffer[] {
    return this.#alive()
      .flatMap((offer) => {
        const price = priceOf(offer, service);
        return price === undefined ? [] : [{ offer, price }];
      })
      .sort((a, b) => (a.price < b.price ? -1 : a.price > b.price ? 1 : 0))
      .map(({ offer }) => offer);
  }

  all(): SignedOffer[] {
    return this.#alive().sort((a, b) => b.expires - a.expires);
  }

  page(after: NodeId | undefined, limit: number): SignedOffer[] {
    const ordered = (this.#ordered ??= Array.from(this.#places.keys()).sort());
    const found: SignedOffer[] = [];
    for (let i = after === undefined ? 0 : firstAfter(ordered, after); i < ordered.length; i += 1) {
      if (found.length === limit) break;
      const offer = this.get(ordered[i] as NodeId);
      if (offer !== undefined) found.push(offer);
    }
    return found;
  }

  remove(node: NodeId): void {
    if (this.#places.remove(node)) this.#ordered = undefined;
  }

  onOffer(listener: (offer: SignedOffer) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #alive(): SignedOffer[] {
    this.#dropExpired();
    return Array.from(this.#places.values(), ({ offer }) => offer);
  }

  #dropExpired(): void {
    const now = this.#clock.now();
    const expired = Array.from(this.#places.values()).filter(({ until }) => until <= now);
    for (const { offer } of expired) this.remove(offer.nodeId);
  }

  /** False when the newcomer is the one that would have to go. */
  #makeRoom(introducers: Introducers, network: string | undefined): boolean {
    if (this.#places.isFull) this.#dropExpired();
    if (!this.#places.isFull) return true;
    const yielding = this.#places.yielding(introducers, network);
    if (yielding === undefined) return false;
    this.remove(yielding.offer.nodeId);
    return true;
  }
}

/** Index of the first element greater than `value`. */
function firstAfter(ordered: readonly NodeId[], value: NodeId): number {
  let low = 0;
  let high = ordered.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ordered[middle] as NodeId) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
