/** Whom a gateway asks for a site: hosts that say that they keep its name, and of them those first that were true to their word. */
import { LRUCache } from 'lru-cache';
import { isRelaymintError, type RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { CONTENT_SERVICE } from '../../sites/blocks/index.ts';
import { sellersOf } from '../../node/tunnel/index.ts';
import { keepsName } from '../../node/offer/index.ts';
import { type OfferBook } from '../../node/discovery/index.ts';

/** Hosts whose failures are remembered, and names of each. */
const MAX_HOSTS_REMEMBERED = 1024;
const MAX_NAMES_REMEMBERED = 64;
/** How long after a host's last failure, milliseconds. */
const REMEMBERED_MILLIS = 60 * 60_000;
/** One name can be a mistake: the list in an offer is wrong about one name in 65,536, and content is let go. So many are none. */
const MISTAKES = 2;

interface Failure {
  /** Of the offer that it broke; a later one is a new word. */
  readonly sequence: bigint;
  /** It said itself that it does not keep the name. */
  readonly refused: boolean;
  /** Its offer had said that it does. */
  readonly claimed: boolean;
}

/** Where a host stands in the order: lower ones are asked first. */
const GOOD = 0;
const BREAKS_ITS_WORD = 1;
const FAILED_HERE = 2;

export class SiteHosts {
  readonly #book: OfferBook;
  readonly #failures = new LRUCache<NodeId, Map<string, Failure>>({
    max: MAX_HOSTS_REMEMBERED,
    ttl: REMEMBERED_MILLIS,
  });
  /** No circuit reached them lately. */
  readonly #unreached = new LRUCache<NodeId, true>({ max: MAX_HOSTS_REMEMBERED, ttl: REMEMBERED_MILLIS });

  constructor(book: OfferBook) {
    this.#book = book;
  }

  /** Those whose offers say that they keep the name, in the order to ask them: cheaper ones earlier more often, who failed lately last. */
  thatKeep(name: string): NodeId[] {
    return this.#ordered(name, (host) => {
      const offer = this.#book.get(host);
      return offer !== undefined && keepsName(offer, name);
    });
  }

  /** Those that keep more names than their offers have room for: they may be asked for what nobody says it keeps. */
  thatMayKeep(name: string): NodeId[] {
    return this.#ordered(name, (host) => this.#book.get(host)?.kept?.more === true);
  }

  /** No circuit reached it: asked after the others for a while, whatever its name. */
  unreached(host: NodeId): void {
    this.#unreached.set(host, true);
  }

  /** A host was asked for the name and did not deliver. */
  failed(host: NodeId, name: string, error: RelaymintError): void {
    if (!isRelaymintError(error, 'CONTENT_REFUSED', 'CONTENT_NOT_FOUND', 'CONTENT_CORRUPT')) return;
    const offer = this.#book.get(host);
    if (offer === undefined) return;
    const failures = this.#failures.get(host) ?? new Map<string, Failure>();
    failures.delete(name);
    const refused = error.code === 'CONTENT_REFUSED';
    failures.set(name, { sequence: offer.sequence, refused, claimed: keepsName(offer, name) });
    const [oldest] = failures.keys();
    if (failures.size > MAX_NAMES_REMEMBERED && oldest !== undefined) failures.delete(oldest);
    this.#failures.set(host, failures);
  }

  #ordered(name: string, may: (host: NodeId) => boolean): NodeId[] {
    const hosts = sellersOf(this.#book, CONTENT_SERVICE).filter((host) => may(host) && !this.#refuses(host, name));
    return hosts
      .map((host) => ({ host, rank: this.#rank(host, name) }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ host }) => host);
  }

  /** Nothing is gained by asking again before it says something new. */
  #refuses(host: NodeId, name: string): boolean {
    return this.#failureOf(host, name)?.refused === true;
  }

  #rank(host: NodeId, name: string): number {
    if (this.#failureOf(host, name) !== undefined) return FAILED_HERE;
    let broken = 0;
    for (const { claimed } of this.#failures.get(host)?.values() ?? []) if (claimed) broken += 1;
    return broken > MISTAKES || this.#unreached.has(host) ? BREAKS_ITS_WORD : GOOD;
  }

  #failureOf(host: NodeId, name: string): Failure | undefined {
    const failure = this.#failures.get(host)?.get(name);
    const offer = this.#book.get(host);
    return failure !== undefined && offer !== undefined && offer.sequence <= failure.sequence ? failure : undefined;
  }
}
