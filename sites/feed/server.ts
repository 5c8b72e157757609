/** The host's side of updates and posts: it takes what is signed by who may say it, and tells it to all who ask, as it comes. */
import { elapsed } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError, type ErrorCode } from '../../core/errors.ts';
import {
  AUTHOR_RECORD_MILLIS,
  CONTENT_IDLE_MILLIS,
  FEED_WAIT_MILLIS,
  MAX_ATTRIBUTED_NAMES,
  MAX_FEED_WAITS,
  MAX_POST_AGE_MILLIS,
  NAME_POSTS_AT_ONCE,
  NAME_POST_REST_MILLIS,
  POSTS_AT_ONCE,
  POST_REST_MILLIS,
  THREAD_POSTS_AT_ONCE,
  THREAD_POST_REST_MILLIS,
  UPDATES_AT_ONCE,
  UPDATES_PER_SECOND,
} from '../../core/limits.ts';
import { silentLog, systemClock, type Clock, type Log } from '../../core/ports.ts';
import { TokenBucket, TokenBuckets } from '../../core/rate.ts';
import { ALL_BPS, basisPoints } from '../../core/units.ts';
import type { NameShare } from '../../core/attribution.ts';
import type { LedgerReader, NameRecord } from '../../ledger/contract.ts';
import type { BlockStore, ServiceHandler, ServiceStream } from '../blocks/contract.ts';
import { createManifests, type Manifests } from '../manifest/index.ts';
import { createNameResolver, type NameResolver } from '../name/index.ts';
import { decodeContentParams } from '../serve/index.ts';
import { ByteReader, IdleTimer, violation, writeAll } from '../wire/index.ts';
import { Authors } from './authors.ts';
import type { Arrived, Entry, FeedStore, SignedEntry, Topic } from './contract.ts';
import { checkEntry, checkTimes, decodeEntry, entryInvalid, entryStale, requirePermitCounts } from './entry.ts';
import {
  decodeWriteParams,
  encodePage,
  encodeRefusal,
  encodeTaken,
  readEntryBytes,
  readPageWanted,
  type Page,
  type PageWanted,
} from './protocol.ts';
import { Waits, tooManyWait } from './waits.ts';

export interface FeedServiceOptions {
  readonly feeds: FeedStore;
  /** Updates and posts are kept of names whose content is. */
  readonly store: BlockStore;
  readonly ledger: Pick<LedgerReader, 'name'>;
  readonly clock?: Clock;
  readonly log?: Log;
}

export interface FeedServices {
  /** Handler of `feed`: for who reads. */
  readonly read: ServiceHandler;
  /** Handler of `update`: what the owners of names say in them. */
  readonly update: ServiceHandler;
  /** Handler of `post`: what anybody with a profile says in a thread. */
  readonly post: ServiceHandler;
}

const CHECKING = new AbortController().signal;
/** Entries on one stream that nobody signed who may: an author is mistaken once. */
const MAX_FORGED = 8;
/** Entries on one stream that are not taken for other reasons. Who is only to come again with them later may do so as often as it pays. */
const MAX_REFUSED = 256;

export function createFeedServices(options: FeedServiceOptions): FeedServices {
  const services = new Services(options);
  return {
    read: (stream, params, circuit = stream) => services.run(stream, () => services.tell(stream, params, circuit)),
    update: (stream, params) => services.run(stream, () => services.take(stream, params, 'owners')),
    post: (stream, params) => services.run(stream, () => services.take(stream, params, 'anybody')),
  };
}

class Services {
  readonly #options: FeedServiceOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #manifests: Manifests = createManifests();
  readonly #updates: TokenBuckets<string>;
  readonly #posts: TokenBuckets<string>;
  /** Of all authors together. */
  readonly #threads: TokenBuckets<string>;
  readonly #names: TokenBuckets<string>;
  /** Of what is brought. */
  readonly #authors: Authors;
  /** For telling. */
  readonly #records: NameResolver;
  readonly #waits = new Waits(MAX_FEED_WAITS);

  constructor(options: FeedServiceOptions) {
    this.#options = options;
    const { clock = systemClock, log = silentLog } = options;
    this.#clock = clock;
    this.#log = log;
    const now = (): number => performance.now();
    this.#updates = new TokenBuckets(() => new TokenBucket(UPDATES_PER_SECOND, now, UPDATES_AT_ONCE));
    const buckets = (restMillis: number, atOnce: number): TokenBuckets<string> =>
      new TokenBuckets(() => new TokenBucket(1000 / restMillis, now, atOnce));
    this.#posts = buckets(POST_REST_MILLIS, POSTS_AT_ONCE);
    this.#threads = buckets(THREAD_POST_REST_MILLIS, THREAD_POSTS_AT_ONCE);
    this.#names = buckets(NAME_POST_REST_MILLIS, NAME_POSTS_AT_ONCE);
    this.#authors = new Authors(options.ledger, clock);
    this.#records = createNameResolver({ ledger: options.ledger, clock, cacheMillis: AUTHOR_RECORD_MILLIS });
  }

  run(stream: ServiceStream, work: () => Promise<void>): void {
    stream.on('error', (error) => this.#log.debug({ err: error }, 'A stream of entries ended early.'));
    work().catch((error: unknown) => {
      if (!isRelaymintError(error))
        this.#log.error({ err: error }, 'Entries could not be handled; the stream was reset.');
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async tell(stream: ServiceStream, params: Uint8Array, circuit: object): Promise<void> {
    const { name, referrer } = decodeContentParams(params);
    const idle = new IdleTimer(stream, CONTENT_IDLE_MILLIS, 'visitor');
    const reader = new ByteReader(stream, () => idle.touch());
    for (;;) {
      // Whoever asks again has all of the page before: what the next one carries counts for those who said it.
      const wanted = await readPageWanted(reader);
      if (wanted === undefined) break;
      if (!this.#keeps(name)) {
        stream.end(encodeRefusal({ code: 'CONTENT_REFUSED', message: `This host does not keep ${name}.` }));
        return;
      }
      let page: Page;
      try {
        page = await this.#page({ stream, circuit }, { name, topic: wanted.topic }, wanted);
      } catch (error) {
        if (!isRelaymintError(error)) throw error;
        stream.end(encodeRefusal(toldOf(error)));
        return;
      }
      stream.attribute?.(sharesOf(page.entries, referrer ?? name));
      idle.touch();
      await writeAll(stream, encodePage(page));
    }
    stream.end();
  }

  async take(stream: ServiceStream, params: Uint8Array, from: 'owners' | 'anybody'): Promise<void> {
    decodeWriteParams(params);
    const idle = new IdleTimer(stream, CONTENT_IDLE_MILLIS, 'author');
    const reader = new ByteReader(stream, () => idle.touch());
    let [forged, refusals] = [0, 0];
    for (;;) {
      const encoded = await readEntryBytes(reader);
      if (encoded === undefined) break;
      let answer: Uint8Array;
      try {
        answer = encodeTaken(await this.#add(encoded, from));
      } catch (error) {
        if (!isRelaymintError(error)) throw error;
        if (isRelaymintError(error, 'ENTRY_INVALID') && (forged += 1) > MAX_FORGED)
          throw violation(`${forged} entries that nobody may say`);
        if (!isRelaymintError(error, 'LIMIT_EXCEEDED') && (refusals += 1) > MAX_REFUSED)
          throw violation(`${refusals} entries that are not taken`);
        answer = encodeRefusal(toldOf(error));
        if (isRelaymintError(error, 'STORAGE_FULL', 'STORAGE_FAILED'))
          this.#log.warn({ err: error }, 'An entry cannot be stored.');
      }
      await writeAll(stream, answer);
    }
    stream.end();
  }

  /** All that costs little is looked at first. @throws RelaymintError */
  async #add(encoded: Uint8Array, from: 'owners' | 'anybody'): Promise<number> {
    const signed = decodeEntry(encoded);
    const { name, author, topic, kind, created } = signed.entry;
    if (!this.#keeps(name)) throw refused(`this host does not keep ${name}`);
    if (from === 'owners' && author !== name)
      throw refused('the service "update" is for what owners of names say in them');
    if ((kind === 'post' || kind === 'edit') && created < this.#clock.now() - MAX_POST_AGE_MILLIS)
      throw entryStale('was made long ago, and may have been taken back since');
    checkTimes(signed.entry, this.#clock.now());
    // Anybody has what was said, and may bring it again: that uses up nothing of its author's, and asks nobody anything.
    const known = await this.#options.feeds.known(signed);
    if (known !== undefined) return known;
    requirePermitCounts(signed.entry, this.#clock.now());
    const own = await this.#authors.check(signed);
    // After the signature: nobody uses up what another one may say. Who takes back what is here need not wait; what is not here may never have been.
    if (author === name) {
      if (!this.#updates.of(name).take()) throw tooMuch(`${author} says too much at once`);
    } else if (kind !== 'remove' || !(await this.#options.feeds.hasTarget(signed))) {
      if (!this.#posts.of(author).take()) throw tooMuch(`${author} says too much at once`);
      await this.#assertWelcome(name);
      if (!this.#threads.of(`${name} ${topic}`).take()) throw tooMuch(`Too much is said at once about ${topic}`);
      if (!this.#names.of(name).take()) throw tooMuch(`Too much is said at once below ${name}`);
    }
    // It may be whose name this is that has just changed: who waits is told by what the ledger says now.
    if (!isSameHolder(this.#records.known(author), own)) this.#records.refresh(author);
    return await this.#options.feeds.add(signed);
  }

  async #assertWelcome(name: string): Promise<void> {
    const record = await this.#authors.nameOf(name);
    if (record === undefined || record.status === 'expired') throw refused(`nobody has ${name}`);
    const manifest = await this.#manifests.of(record, this.#options.store, CHECKING);
    if (manifest?.manifest.comments !== 'anybody') throw refused(`${name} takes no posts`);
  }

  #keeps(name: string): boolean {
    return this.#options.store.pins(name).length > 0;
  }

  async #page(
    { stream, circuit }: { readonly stream: ServiceStream; readonly circuit: object },
    topic: Topic,
    { from, waits }: PageWanted,
  ): Promise<Page> {
    if (!waits) return await this.#look(topic, from);
    let news = new AbortController();
    let [isGone, isOusted] = [false, false];
    const left = (): void => {
      isGone = true;
      news.abort();
    };
    using _place = this.#waits.begin(circuit, () => {
      isOusted = true;
      news.abort();
    });
    stream.once('close', left);
    // Before it is looked: nothing comes in between.
    using _added = this.#options.feeds.onAdded(topic, () => news.abort());
    const until = performance.now() + FEED_WAIT_MILLIS;
    try {
      for (;;) {
        news = new AbortController();
        const page = await this.#look(topic, from);
        const rest = until - performance.now();
        // What came may be nothing to tell: then it is waited on.
        if (page.entries.length > 0 || isGone || rest <= 0) return page;
        if (isOusted) throw tooManyWait();
        await elapsed(rest, news.signal);
      }
    } finally {
      stream.off('close', left);
    }
  }

  /** What counts of the next page. */
  async #look(topic: Topic, from: PageWanted['from']): Promise<Page> {
    const { feeds } = this.#options;
    if (from === 'newest') {
      const newest = await feeds.newest(topic);
      return { entries: newest === undefined ? [] : await this.#counting(topic.name, [newest]), more: false };
    }
    const owner = await this.#recordOf(topic.name);
    const isOwners = (signed: SignedEntry): boolean =>
      signed.entry.author !== topic.name || owner === 'unknown' || this.#isGood(signed, owner);
    for (let after = from; ;) {
      const kept = await feeds.after(topic, after, isOwners);
      const last = kept.at(-1);
      if (last === undefined) return { entries: [], more: false };
      const counting = await this.#counting(topic.name, kept);
      const entries = fewAuthors(counting);
      const isWhole = entries.length === counting.length;
      if (entries.length > 0)
        return { entries, more: !isWhole || (await feeds.after(topic, last.arrival, isOwners)).length > 0 };
      after = last.arrival;
    }
  }

  /**
   * Those whose authors still have their names: what was said in a name before it changed hands, and where posts are no longer taken, is
   * neither told nor paid for. Where the ledger does not answer they are told: visitors look for themselves.
   */
  async #counting(name: string, kept: readonly Arrived[]): Promise<readonly Arrived[]> {
    const authors = [...new Set(kept.map(({ signed }) => signed.entry.author))];
    const records = new Map(
      await Promise.all(authors.map(async (author) => [author, await this.#recordOf(author)] as const)),
    );
    const isOpen = authors.every((author) => author === name) || (await this.#takesPosts(await this.#recordOf(name)));
    return kept.filter(({ signed }) => {
      const { author } = signed.entry;
      if (author !== name && !isOpen) return false;
      const record = records.get(author);
      return record === 'unknown' || this.#isGood(signed, record);
    });
  }

  #isGood(signed: SignedEntry, record: NameRecord | undefined): boolean {
    try {
      checkEntry(signed, record, this.#clock.now());
      return true;
    } catch (error) {
      if (isRelaymintError(error, 'ENTRY_INVALID', 'ENTRY_STALE')) return false;
      throw error;
    }
  }

  async #recordOf(name: string): Promise<NameRecord | 'unknown' | undefined> {
    try {
      return await this.#records.record(name);
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      this.#log.debug({ name, err: error }, 'The ledger does not say whose a name is.');
      return 'unknown';
    }
  }

  async #takesPosts(record: NameRecord | 'unknown' | undefined): Promise<boolean> {
    if (record === 'unknown') return true;
    if (record === undefined || record.status === 'expired') return false;
    try {
      const manifest = await this.#manifests.of(record, this.#options.store, CHECKING);
      return manifest?.manifest.comments === 'anybody';
    } catch (error) {
      if (isRelaymintError(error)) return false;
      throw error;
    }
  }
}

/** As many as what one page carries can count for. */
function fewAuthors(entries: readonly Arrived[]): readonly Arrived[] {
  const authors = new Set<string>();
  const end = entries.findIndex(
    ({ signed: { entry } }) => isPaid(entry) && authors.add(entry.author).size > MAX_ATTRIBUTED_NAMES,
  );
  return end < 0 ? entries : entries.slice(0, end);
}

/** Who takes something back, and who moderates, said nothing that a visitor reads. */
function isPaid({ kind }: Entry): boolean {
  return kind === 'update' || kind === 'post' || kind === 'edit';
}

/**
 * Each author's part of the page's bytes, and the page that shows it: where one ends, in ten-thousandths rounded down, the next begins, so
 * that nothing is lost between them. What takes something back counts for nobody.
 */
function sharesOf(entries: readonly Arrived[], page: string): readonly NameShare[] {
  const sizes = new Map<string, number>();
  let all = 0;
  for (const { signed } of entries) {
    const { entry, encoded } = signed;
    all += encoded.length;
    if (isPaid(entry)) sizes.set(entry.author, (sizes.get(entry.author) ?? 0) + encoded.length);
  }
  let before = 0;
  return [...sizes].map(([name, size]) => {
    const begins = Math.floor((before * ALL_BPS) / all);
    before += size;
    const share = basisPoints(Math.floor((before * ALL_BPS) / all) - begins);
    return { name, ...(name !== page && { referrer: page }), share };
  });
}

function isSameHolder(one: NameRecord | undefined, other: NameRecord | undefined): boolean {
  return one?.owner === other?.owner && one?.manager === other?.manager && one?.registeredAt === other?.registeredAt;
}

function tooMuch(what: string): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', `${what}.`, { remedy: 'Wait a little, and say it again.' });
}

function refused(why: string): RelaymintError {
  return new RelaymintError('CONTENT_REFUSED', `The host did not take it: ${why}.`, {
    remedy: 'Bring it to a host that keeps the name, signed by who may say it.',
  });
}

/** Errors whose text is sent to the author. The text of others may reveal things about this host. */
const TOLD: readonly ErrorCode[] = ['CONTENT_REFUSED', 'ENTRY_INVALID', 'ENTRY_STALE', 'LIMIT_EXCEEDED'];

function toldOf(error: RelaymintError): { readonly code: string; readonly message: string } {
  if (TOLD.includes(error.code)) return { code: error.code, message: error.message };
  if (error.code === 'STORAGE_FULL') return { code: error.code, message: 'It has no more room.' };
  if (error.code === 'MANIFEST_INVALID') return toldOf(entryInvalid('is for a name whose manifest cannot be verified'));
  return { code: 'INTERNAL', message: 'The host failed. Try again, or another host.' };
}
