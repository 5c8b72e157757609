/** The hosts that a gateway asks for a site: those that say they keep its name, reliable ones first. */
import { LRUCache } from 'lru-cache';
import { isRelaymintError, type RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { CONTENT_SERVICE } from '../../sites/blocks/index.ts';
import { sellersOf } from '../../node/tunnel/index.ts';
import { keepsName } from '../../node/offer/index.ts';
import type { OfferBook } from '../../node/discovery/index.ts';

/** Hosts whose failures are remembered, and names of each. */
const MAX_HOSTS_REMEMBERED = 1024;
const MAX_NAMES_REMEMBERED = 64;
/** How long a host's own refusals and wrong blocks count against it, milliseconds: nobody else can cause these. */
const WORD_MILLIS = 60 * 60_000;
/** How long its silence counts, and that no circuit reached it: any node on the way can cause that. */
const SILENCE_MILLIS = 10 * 60_000;
/** One name can be a mistake: the list in an offer is wrong about one name in 65,536, and hosts remove content. This many cannot be. */
const MISTAKES = 2;
/** After this many silences for one name the host counts as not keeping it: a single one may be the fault of the path. */
const SILENCES = 2;
/**
 * Hosts that are asked for one visitor although they do not say that they keep the name: each learns the name for nothing.
 * Further ones get their turn with later visitors.
 */
const MOST_ASKED_ANYWAY = 2;

interface Failure {
  /** `refused`: it said that it does not keep the name. `false`: it delivered something else. `silent`: it delivered nothing, or accepted no stream. */
  readonly kind: 'refused' | 'false' | 'silent';
  /** Sequence of the offer that it broke; a later offer is a new promise. */
  readonly sequence: bigint;
  /** Its offer had said that it keeps the name. */
  readonly claimed: boolean;
  readonly until: number;
  /** In a row. */
  readonly times: number;
}

/** A host's place in the order: lower ones are asked first. */
const GOOD = 0;
const FAILS = 1;
const FAILED_HERE = 2;

export class SiteHosts {
  readonly #book: Pick<OfferBook, 'find' | 'get'>;
  readonly #now: () => number;
  readonly #failures = new LRUCache<NodeId, Map<string, Failure>>({ max: MAX_HOSTS_REMEMBERED });
  /** Names that a host was silent about since it last delivered anything. */
  readonly #silent = new LRUCache<NodeId, Map<string, number>>({ max: MAX_HOSTS_REMEMBERED });
  /** Until when a host counts as away. */
  readonly #unreached = new LRUCache<NodeId, number>({ max: MAX_HOSTS_REMEMBERED });

  /** `now` is a monotonic clock in milliseconds. */
  constructor(book: Pick<OfferBook, 'find' | 'get'>, now: () => number = () => performance.now()) {
    this.#book = book;
    this.#now = now;
  }

  /** Those whose offers say that they keep the name, in the order to ask them: cheaper ones are more often first, those that failed lately are last. */
  thatKeep(name: string): NodeId[] {
    return this.#ordered(name, (host) => this.#claims(host, name));
  }

  /**
   * Those that keep more names than their offers have room for, to be asked for what nobody says it keeps, or nobody who does was
   * there for lately: at random, cheaper ones more often, a few at most. A host that did not have it is not asked again for an hour.
   * @param asked hosts that were already asked for this visitor.
   */
  thatMayKeep(name: string, asked: ReadonlySet<NodeId> = new Set()): NodeId[] {
    if (sellersOf(this.#book, CONTENT_SERVICE).some((host) => this.#claims(host, name) && this.#isHopeful(host, name)))
      return [];
    const may = (host: NodeId): boolean => this.#book.get(host)?.kept?.more === true && !this.#claims(host, name);
    const left = MOST_ASKED_ANYWAY - Array.from(asked).filter(may).length;
    const isNew = (host: NodeId): boolean => this.#failureOf(host, name) === undefined && !asked.has(host);
    return this.#ordered(name, (host) => may(host) && isNew(host)).slice(0, Math.max(0, left));
  }

  /** No circuit reached it: it is asked after the others for a while, for any name. */
  unreached(host: NodeId): void {
    this.#unreached.set(host, this.#now() + SILENCE_MILLIS);
  }

  /** There is an open circuit to it. */
  reached(host: NodeId): void {
    this.#unreached.delete(host);
  }

  /** It delivered a block: its silence about some names now counts only for those. */
  delivered(host: NodeId, name: string): void {
    this.#silent.delete(host);
    if (this.#failures.get(host)?.get(name)?.kind === 'silent') this.#failures.get(host)?.delete(name);
  }

  /** A host was asked for the name and did not deliver. */
  failed(host: NodeId, name: string, error: RelaymintError): void {
    const kind = kindOf(error);
    const offer = this.#book.get(host);
    if (offer === undefined || kind === undefined) return;
    const until = this.#now() + (kind === 'silent' ? SILENCE_MILLIS : WORD_MILLIS);
    const before = this.#failureOf(host, name);
    const times = before?.kind === kind ? before.times + 1 : 1;
    const failure = { kind, sequence: offer.sequence, claimed: keepsName(offer, name), until, times };
    remember(this.#failures, host, name, failure);
    if (kind === 'silent') remember(this.#silent, host, name, until);
  }

  #ordered(name: string, may: (host: NodeId) => boolean): NodeId[] {
    const hosts = sellersOf(this.#book, CONTENT_SERVICE).filter((host) => may(host) && !this.#refuses(host, name));
    return hosts
      .map((host) => ({ host, rank: this.#rank(host, name) }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ host }) => host);
  }

  #claims(host: NodeId, name: string): boolean {
    const offer = this.#book.get(host);
    return offer !== undefined && keepsName(offer, name);
  }

  /** It may deliver, as far as we know. A claim costs nothing: one that is not backed must not keep others from being asked. */
  #isHopeful(host: NodeId, name: string): boolean {
    const failure = this.#failureOf(host, name);
    return (failure === undefined || (failure.kind === 'silent' && failure.times < SILENCES)) && !this.#isAway(host);
  }

  /** Nothing is gained by asking again before it says something new. */
  #refuses(host: NodeId, name: string): boolean {
    return this.#failureOf(host, name)?.kind === 'refused';
  }

  #rank(host: NodeId, name: string): number {
    if (this.#failureOf(host, name) !== undefined) return FAILED_HERE;
    const now = this.#now();
    const failures = Array.from(this.#failures.get(host)?.values() ?? []);
    const broken = failures.filter(({ kind, claimed, until }) => kind !== 'silent' && claimed && until > now).length;
    const silent = Array.from(this.#silent.get(host)?.values() ?? []).filter((until) => until > now).length;
    return broken > MISTAKES || silent > MISTAKES || this.#isAway(host) ? FAILS : GOOD;
  }

  #isAway(host: NodeId): boolean {
    return (this.#unreached.get(host) ?? Number.NEGATIVE_INFINITY) > this.#now();
  }

  #failureOf(host: NodeId, name: string): Failure | undefined {
    const failure = this.#failures.get(host)?.get(name);
    const offer = this.#book.get(host);
    if (failure === undefined || offer === undefined || failure.until <= this.#now()) return undefined;
    // A host can sign offers as often as it likes: only an offer that lists this name is a new promise about it.
    const isNewWord = failure.kind !== 'silent' && offer.sequence > failure.sequence && keepsName(offer, name);
    return isNewWord ? undefined : failure;
  }
}

function kindOf(error: RelaymintError): Failure['kind'] | undefined {
  if (isRelaymintError(error, 'CONTENT_REFUSED')) return 'refused';
  if (isRelaymintError(error, 'CONTENT_NOT_FOUND', 'CONTENT_CORRUPT', 'PROTOCOL_VIOLATION')) return 'false';
  if (isRelaymintError(error, 'TIMEOUT', 'STREAM_REFUSED', 'STREAM_RESET')) return 'silent';
  return undefined;
}

function remember<T>(all: LRUCache<NodeId, Map<string, T>>, host: NodeId, name: string, what: T): void {
  const names = all.get(host) ?? new Map<string, T>();
  names.delete(name);
  names.set(name, what);
  const [oldest] = names.keys();
  if (names.size > MAX_NAMES_REMEMBERED && oldest !== undefined) names.delete(oldest);
  all.set(host, names);
}
