/** Nodes exchange the offers they know: each asks its peers page by page, and verifies the answers. */
import { setMaxListeners } from 'node:events';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import {
  MAX_OFFERS_PER_ANSWER,
  MAX_OFFER_QUESTIONS_PER_SECOND,
  MAX_PEERS_ASKED,
  OFFER_CHECKS_AT_ONCE,
  OFFER_CHECKS_PER_SECOND,
  OFFER_BURST_BYTES,
  OFFER_BYTES_PER_SECOND,
} from '../../core/limits.ts';
import { randomBytes } from 'node:crypto';
import { KEY_BYTES, nodeId, type LedgerAddress, type NodeId } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { isAnonymizing } from '../transport/index.ts';
import { FrameType, type Link, type LinkManager } from '../link/contract.ts';
import { TokenBucket, TokenBuckets } from '../../core/rate.ts';
import { backoff } from '../../core/backoff.ts';
import { jittered, repeat } from '../../core/repeat.ts';
import { deadline, orAborted } from '../../core/abort.ts';
import type { Discovery, DiscoveryOptions, Introducers, OfferBook, PeerAddress } from './contract.ts';
import { decodeAnswer, decodeQuestion, encodeAnswer, encodeQuestion, type Answer } from './messages.ts';
import { peekOffer, readOffer, type SignedOffer } from '../offer/index.ts';

const INTERVAL_MILLIS = 60_000;
/** A quarter earlier or later: nodes that started together, or lost the same peer, do not ask together for ever. */
const JITTER = 0.25;
/** How long after its link was lost a bootstrap peer is dialled, milliseconds. */
const REDIAL_MILLIS = 1_000;
/**
 * The longest pause before it is dialled once more, milliseconds: a node that comes back after hours knows nobody, and until then who asks it finds
 * nobody. A dial that nobody answers costs next to nothing, but over Tor and I2P: there a round is soon enough.
 */
const REDIAL_LAST_MILLIS = 10_000;
/** One answer may take this long, milliseconds. */
const ANSWER_MILLIS = 10_000;
/** Pages asked of one peer in one round: below what it answers in a second. */
const MAX_PAGES = MAX_OFFER_QUESTIONS_PER_SECOND - 10;

/** Begins a first round at once and one every interval until it is closed. Make it before the links begin to listen. */
export function createDiscovery(options: DiscoveryOptions): Discovery {
  return new Exchange(options);
}

/** The state of the exchange with one linked peer. */
interface Talk {
  /** Takes the answer to the question under way. */
  answered: ((answer: Answer) => void) | undefined;
  failed: ((error: RelaymintError) => void) | undefined;
  /** The questions under way: one after the other, for all who want them. */
  asking: Promise<number> | undefined;
  readonly bucket: TokenBucket;
  /** When the link opened, `performance.now()`. */
  readonly since: number;
}

/** A bootstrap peer that is gone. */
interface Missed {
  /** Dials in a row that failed, and links in a row that did not last. */
  failures: number;
  timer: NodeJS.Timeout | undefined;
}

/** Where a page of offers comes from. */
interface Teller {
  readonly introducers: Introducers;
  /** How many offers they may make us verify. */
  readonly checks: TokenBucket;
  readonly hasRoom: boolean;
  /** It is not a page, but an offer from a circuit that leads to its node. */
  readonly passing: boolean;
}

class Exchange implements Discovery {
  readonly book: OfferBook;
  readonly #links: LinkManager;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #bootstrap: readonly PeerAddress[];
  readonly #named: ReadonlySet<NodeId>;
  readonly #walletOf: (peer: NodeId) => LedgerAddress | undefined;
  /** How many offers each may make us verify, over all its links and node ids. */
  readonly #checks: TokenBuckets<Introducers> = new TokenBuckets(offerChecks);
  readonly #onOwnSequence: (sequence: bigint) => void;
  /** The highest sequence of our own offers that others reported. */
  #ownSequence = 0n;
  readonly #intervalMillis: number;
  readonly #talks = new Map<Link, Talk>();
  readonly #missed = new Map<NodeId, Missed>();
  readonly #redials: boolean;
  /** Under way, to peers whose link was lost. */
  readonly #dials = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #unsubscribe: readonly (() => void)[];
  readonly #rounds: AsyncDisposable;
  #round: Promise<number> | undefined;

  constructor(options: DiscoveryOptions) {
    const { links, book, clock, log, bootstrap = [], intervalMillis = INTERVAL_MILLIS } = options;
    this.book = book;
    this.#links = links;
    this.#clock = clock;
    this.#log = log;
    this.#bootstrap = bootstrap.filter((peer) => peer.nodeId !== links.nodeId);
    this.#named = new Set(this.#bootstrap.map(({ nodeId }) => nodeId));
    this.#walletOf = options.walletOf ?? ((): undefined => undefined);
    this.#intervalMillis = intervalMillis;
    this.#redials = options.redials ?? false;
    this.#onOwnSequence = options.onOwnSequence ?? ((): void => {});
    // One listener for each peer that is asked, MAX_PEERS_ASKED and the bootstrap peers.
    setMaxListeners(0, this.#stop.signal);
    this.#unsubscribe = [
      links.onLink((link) => this.#attach(link)),
      links.onOffer((offer, link) => this.#present(offer, link)),
    ];
    for (const link of links.links()) this.#attach(link);
    this.#rounds = repeat({
      everyMillis: intervalMillis,
      jitter: JITTER,
      atOnce: true,
      work: async () => void (await this.refresh()),
      what: 'asking for offers',
      log,
    });
  }

  refresh(signal?: AbortSignal): Promise<number> {
    if (this.#stop.signal.aborted) return Promise.resolve(0);
    this.#round ??= this.#ask().finally(() => {
      this.#round = undefined;
    });
    return orAborted(this.#round, signal, 'Asking for offers');
  }

  async close(): Promise<void> {
    for (const { timer } of this.#missed.values()) clearTimeout(timer);
    this.#stop.abort(new RelaymintError('CLOSED', 'Discovery is closed.'));
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await Promise.all([this.#rounds[Symbol.asyncDispose](), this.#round, ...this.#dials]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Who is known only to this peer is found by nobody else until we are linked to it again, so that the next round is too late. */
  #redial(peer: NodeId): void {
    const addresses = this.#bootstrap.filter(({ nodeId }) => nodeId === peer);
    if (!this.#redials || addresses.length === 0 || this.#stop.signal.aborted || this.#links.get(peer)?.isOpen === true)
      return;
    const missed = this.#missed.get(peer) ?? { failures: 0, timer: undefined };
    if (missed.timer !== undefined) return;
    missed.failures += 1;
    this.#missed.set(peer, missed);
    const dial = async (): Promise<void> => {
      const reached = await Promise.all(addresses.map((address) => this.#reach(address)));
      missed.timer = undefined;
      const link = reached.find((each) => each !== undefined);
      if (link === undefined) this.#redial(peer);
      else await this.#askPeer(link);
    };
    const isDirect = addresses.some(({ address }) => !isAnonymizing(address));
    const last = isDirect ? Math.min(REDIAL_LAST_MILLIS, this.#intervalMillis) : this.#intervalMillis;
    const pause = backoff(missed.failures, { first: REDIAL_MILLIS, last });
    const begin = (): void => {
      const dialled = dial().finally(() => this.#dials.delete(dialled));
      this.#dials.add(dialled);
    };
    missed.timer = setTimeout(begin, jittered(pause, JITTER)).unref();
  }

  async #ask(): Promise<number> {
    const before = new Set(this.#links.links());
    const reached = await Promise.all(this.#bootstrap.map((peer) => this.#reach(peer)));
    for (const peer of this.#named) this.#redial(peer);
    const asked = new Set(reached.filter((link) => link !== undefined));
    const others = [...before].filter((link) => !asked.has(link));
    while (asked.size < MAX_PEERS_ASKED && others.length > 0) {
      const [link] = others.splice(Math.floor(Math.random() * others.length), 1);
      if (link !== undefined) asked.add(link);
    }
    const counts = await Promise.all([...asked].map((link) => this.#askPeer(link)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #reach(peer: PeerAddress): Promise<Link | undefined> {
    try {
      return await this.#links.connect(peer.nodeId, [peer.address], { signal: this.#stop.signal });
    } catch (error) {
      this.#log.debug({ peer: peer.nodeId, err: error }, 'a bootstrap peer could not be reached');
      return undefined;
    }
  }

  /** @returns how many of its offers were new to us. */
  async #askPeer(link: Link): Promise<number> {
    const talk = this.#talks.get(link);
    if (talk === undefined) return 0;
    talk.asking ??= this.#askAll(link, talk).finally(() => {
      talk.asking = undefined;
    });
    return talk.asking;
  }

  async #askAll(link: Link, talk: Talk): Promise<number> {
    let fresh = 0;
    // From a random place on: an answer that holds only a part must not hold the same part each time.
    const start = nodeId(randomBytes(KEY_BYTES));
    let after: NodeId | undefined = start;
    let wrapped = false;
    try {
      for (let page = 0; page < MAX_PAGES; page += 1) {
        link.send(FrameType.OFFERS_WANTED, 0, encodeQuestion({ count: MAX_OFFERS_PER_ANSWER, after }));
        const { more, offers } = await this.#answer(link, talk);
        const teller = this.#tellerOf(link.peer);
        for (const encoded of offers) if (this.#take(encoded, teller)) fresh += 1;
        const last = offers.at(-1);
        after = last === undefined ? undefined : peekOffer(last)?.nodeId;
        if (wrapped && (after === undefined || after >= start)) break;
        if (more && after !== undefined) continue;
        if (wrapped) break;
        wrapped = true;
        after = undefined;
      }
    } catch (error) {
      this.#log.debug({ peer: link.peer, err: error }, 'a peer did not send the offers it knows');
    }
    return fresh;
  }

  async #answer(link: Link, talk: Talk): Promise<Answer> {
    using limit = deadline(ANSWER_MILLIS, 'The answer with offers', this.#stop.signal);
    try {
      const answer = new Promise<Answer>((resolve, reject) => {
        talk.answered = resolve;
        talk.failed = reject;
        if (!link.isOpen) reject(closedError());
      });
      return await orAborted(answer, limit.signal, 'The answer with offers');
    } finally {
      talk.answered = undefined;
      talk.failed = undefined;
    }
  }

  introduce(encoded: Uint8Array, peer: NodeId): void {
    this.#take(encoded, { ...this.#tellerOf(peer), passing: true });
  }

  /** The node's own offer, from itself. */
  #present(offer: SignedOffer, link: Link): void {
    this.book.add(offer, this.#standing(link.peer) ?? 'presented');
    if (link.dialer) this.book.reached(link.peer);
  }

  /** The introducer that an offer of this peer counts for. */
  #standing(peer: NodeId): Introducers | undefined {
    return this.#named.has(peer) ? peer : this.#walletOf(peer);
  }

  /** Checked once per page: to see whether a full book has room means looking at all of it. */
  #tellerOf(peer: NodeId): Teller {
    const introducers = this.#standing(peer) ?? 'strangers';
    const hasRoom = this.book.hasRoomFor(introducers);
    return { introducers, checks: this.#checks.of(introducers), hasRoom, passing: false };
  }

  /** A bad offer is left out; the peer that passed it on may know no better. */
  #take(encoded: Uint8Array, { introducers, checks, hasRoom, passing }: Teller): boolean {
    const claim = peekOffer(encoded);
    if (claim === undefined) return false;
    const own = claim.nodeId === this.#links.nodeId;
    const known = own ? this.#ownSequence : this.book.get(claim.nodeId)?.sequence;
    if (known !== undefined && known >= claim.sequence) {
      this.book.alsoFrom(claim.nodeId, introducers, passing);
      return false;
    }
    // Checking takes two signatures: not for offers without a place in the book, and not without limit.
    if ((known === undefined && !hasRoom) || !checks.take()) return false;
    try {
      const offer = readOffer(encoded, this.#clock.now());
      if (!own) return this.book.add(offer, introducers, passing);
      this.#ownSequence = offer.sequence;
      this.#onOwnSequence(offer.sequence);
      return false;
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      this.#log.debug({ node: claim.nodeId, err: error }, 'an offer was refused');
      return false;
    }
  }

  async #forgetWhenClosed(link: Link, talk: Talk): Promise<void> {
    const reason = await link.closed;
    this.#talks.delete(link);
    talk.failed?.(reason ?? closedError());
    const missed = this.#missed.get(link.peer);
    if (missed !== undefined && performance.now() - talk.since >= this.#intervalMillis) missed.failures = 0;
    this.#redial(link.peer);
  }

  #attach(link: Link): void {
    const now = (): number => performance.now();
    const bucket = new TokenBucket(MAX_OFFER_QUESTIONS_PER_SECOND, now);
    const bytes = new TokenBucket(OFFER_BYTES_PER_SECOND, now, OFFER_BURST_BYTES);
    const talk: Talk = { answered: undefined, failed: undefined, asking: undefined, bucket, since: now() };
    this.#talks.set(link, talk);
    void this.#forgetWhenClosed(link, talk);
    link.handle(FrameType.OFFERS_WANTED, (_id, payload) => {
      if (!talk.bucket.take()) throw new RelaymintError('FRAME_RATE_EXCEEDED', 'Too many questions for offers.');
      const { count, after } = decodeQuestion(payload);
      const found = this.book.page(after, count + 1);
      const answer = encodeAnswer(found.slice(0, count), found.length > count);
      // A peer that got a whole book gets no more for a while; it may ask again.
      link.send(FrameType.OFFERS, 0, bytes.take(answer.length) ? answer : encodeAnswer([], false));
    });
    link.handle(FrameType.OFFERS, (_id, payload) => {
      const answer = decodeAnswer(payload);
      // A late answer is useless, and an unrequested one costs nothing: both are ignored.
      talk.answered?.(answer);
    });
    if (link.offer !== undefined) this.#present(link.offer, link);
    else if (link.dialer) this.book.reached(link.peer);
  }
}

function offerChecks(): TokenBucket {
  return new TokenBucket(OFFER_CHECKS_PER_SECOND, () => performance.now(), OFFER_CHECKS_AT_ONCE);
}

function closedError(): RelaymintError {
  return new RelaymintError('CLOSED', 'The link is closed.');
}
