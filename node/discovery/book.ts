/** The offers a node knows of others. */
import type { NodeId } from '../../core/ids.ts';
import { MAX_OFFERS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import type { OfferBook, OfferBookOptions } from './contract.ts';
import { isExpired, priceOf, type SignedOffer } from './offer.ts';

export function createOfferBook({ clock, limit = MAX_OFFERS }: OfferBookOptions): OfferBook {
  return new Book(clock, limit);
}

class Book implements OfferBook {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #offers = new Map<NodeId, SignedOffer>();
  readonly #listeners = new Set<(offer: SignedOffer) => void>();
  /** By node id; made anew when it is asked for after a node came or went. */
  #ordered: NodeId[] | undefined;

  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get size(): number {
    this.#dropExpired();
    return this.#offers.size;
  }

  add(offer: SignedOffer): boolean {
    // Who sells nothing is nobody's business: it is neither kept nor passed on.
    if (offer.services.length === 0 || isExpired(offer, this.#clock.now())) return false;
    // What has expired says nothing any more: neither its sequence nor that it stands here.
    const known = this.get(offer.nodeId);
    if (known !== undefined && known.sequence >= offer.sequence) return false;
    if (known === undefined) {
      if (!this.#makeRoom(offer)) return false;
      this.#ordered = undefined;
    }
    this.#offers.set(offer.nodeId, offer);
    for (const listener of this.#listeners) listener(offer);
    return true;
  }

  get(node: NodeId): SignedOffer | undefined {
    const offer = this.#offers.get(node);
    if (offer === undefined || !isExpired(offer, this.#clock.now())) return offer;
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
    const ordered = (this.#ordered ??= [...this.#offers.keys()].sort());
    const found: SignedOffer[] = [];
    for (let i = after === undefined ? 0 : firstAfter(ordered, after); i < ordered.length; i += 1) {
      if (found.length === limit) break;
      const offer = this.get(ordered[i] as NodeId);
      if (offer !== undefined) found.push(offer);
    }
    return found;
  }

  remove(node: NodeId): void {
    if (this.#offers.delete(node)) this.#ordered = undefined;
  }

  onOffer(listener: (offer: SignedOffer) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #alive(): SignedOffer[] {
    this.#dropExpired();
    return [...this.#offers.values()];
  }

  #dropExpired(): void {
    const now = this.#clock.now();
    for (const [node, offer] of this.#offers) if (isExpired(offer, now)) this.remove(node);
  }

  /** False when the newcomer is the one that would have to go. */
  #makeRoom(newcomer: SignedOffer): boolean {
    if (this.#offers.size >= this.#limit) this.#dropExpired();
    if (this.#offers.size < this.#limit) return true;
    let soonest = newcomer;
    for (const offer of this.#offers.values()) if (offer.expires < soonest.expires) soonest = offer;
    if (soonest === newcomer) return false;
    this.remove(soonest.nodeId);
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
