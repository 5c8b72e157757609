/** The host's side of updates and posts: it takes what is signed by who may say it, and tells it to all who ask, as it comes. */
import { elapsed } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError, type ErrorCode } from '../../core/errors.ts';
import {
  CONTENT_IDLE_MILLIS,
  FEED_WAIT_MILLIS,
  MAX_ATTRIBUTED_NAMES,
  MAX_FEED_WAITS,
  POSTS_AT_ONCE,
  POST_REST_MILLIS,
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
import { decodeContentParams } from '../serve/index.ts';
import { ByteReader, IdleTimer, violation, writeAll } from '../wire/index.ts';
import type { Arrived, FeedStore, SignedEntry, Topic } from './contract.ts';
import { checkEntry, decodeEntry, entryInvalid } from './entry.ts';
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
/** Entries on one stream that nobody signed who may: an author is mistaken once, and each costs a question to the ledger. */
const MAX_FORGED = 8;

export function createFeedServices(options: FeedServiceOptions): FeedServices {
  const services = new Services(options);
  return {
    read: (stream, params) => services.run(stream, () => services.tell(stream, params)),
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
  #waits = 0;

  constructor(options: FeedServiceOptions) {
    this.#options = options;
    const { clock = systemClock, log = silentLog } = options;
    this.#clock = clock;
    this.#log = log;
    const now = (): number => performance.now();
    this.#updates = new TokenBuckets(() => new TokenBucket(UPDATES_PER_SECOND, now, UPDATES_AT_ONCE));
    this.#posts = new TokenBuckets(() => new TokenBucket(1000 / POST_REST_MILLIS, now, POSTS_AT_ONCE));
  }

  run(stream: ServiceStream, work: () => Promise<void>): void {
    stream.on('error', (error) => this.#log.debug({ err: error }, 'A stream of entries ended early.'));
    work().catch((error: unknown) => {
      if (!isRelaymintError(error))
        this.#log.error({ err: error }, 'Entries could not be handled; the stream was reset.');
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  }

  async tell(stream: ServiceStream, params: Uint8Array): Promise<void> {
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
        page = await this.#page(stream, { name, topic: wanted.topic }, wanted);
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
    let forged = 0;
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
    const { name, author } = signed.entry;
    if (!this.#keeps(name)) throw refused(`this host does not keep ${name}`);
    if (from === 'owners' && author !== name)
      throw refused('the service "update" is for what owners of names say in them');
    const record = await this.#options.ledger.name(name);
    const own = author === name ? record : await this.#options.ledger.name(author);
    checkEntry(signed, own, this.#clock.now());
    if (author !== name) await this.#assertWelcome(signed, record);
    // After the signature: nobody uses up what another one may say.
    const bucket = author === name ? this.#updates.of(name) : this.#posts.of(author);
    if (!bucket.take()) {
      throw new RelaymintError('LIMIT_EXCEEDED', `${author} says too much at once.`, {
        remedy: 'Wait a little, and say it again.',
      });
    }
    return await this.#options.feeds.add(signed);
  }

  async #assertWelcome({ entry: { name, kind } }: SignedEntry, record: NameRecord | undefined): Promise<void> {
    // What was said may always be taken back.
    if (kind === 'remove') return;
    if (record === undefined || record.status === 'expired') throw refused(`nobody has ${name}`);
    const manifest = await this.#manifests.of(record, this.#options.store, CHECKING);
    if (manifest?.manifest.comments !== 'anybody') throw refused(`${name} takes no posts`);
  }

  #keeps(name: string): boolean {
    return this.#options.store.pins(name).length > 0;
  }

  async #page(stream: ServiceStream, topic: Topic, { from, waits }: PageWanted): Promise<Page> {
    const { feeds } = this.#options;
    const look = async (): Promise<Page> => {
      if (from === 'newest') {
        const newest = await feeds.newest(topic);
        return { entries: newest === undefined ? [] : [newest], more: false };
      }
      const found = fewAuthors(await feeds.after(topic, from));
      const last = found.at(-1);
      return { entries: found, more: last !== undefined && (await feeds.after(topic, last.arrival)).length > 0 };
    };
    if (!waits) return await look();
    if (this.#waits >= MAX_FEED_WAITS)
      throw new RelaymintError('LIMIT_EXCEEDED', 'Too many wait here for something new.', {
        remedy: 'Ask another host.',
      });
    const news = new AbortController();
    const came = (): void => news.abort();
    stream.once('close', came);
    this.#waits += 1;
    // Before it is looked: nothing comes in between.
    using _added = feeds.onAdded(topic, came);
    try {
      const page = await look();
      if (page.entries.length > 0) return page;
      await elapsed(FEED_WAIT_MILLIS, news.signal);
      return await look();
    } finally {
      this.#waits -= 1;
      stream.off('close', came);
    }
  }
}

/** As many as what one page carries can count for. */
function fewAuthors(entries: readonly Arrived[]): readonly Arrived[] {
  const authors = new Set<string>();
  const end = entries.findIndex(({ signed }) => authors.add(signed.entry.author).size > MAX_ATTRIBUTED_NAMES);
  return end < 0 ? entries : entries.slice(0, end);
}

/** Each author's part of the page's bytes, and the page that shows it. What is left of rounding is the last one's. */
function sharesOf(entries: readonly Arrived[], page: string): readonly NameShare[] {
  const sizes = new Map<string, number>();
  for (const { signed } of entries)
    sizes.set(signed.entry.author, (sizes.get(signed.entry.author) ?? 0) + signed.encoded.length);
  const all = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  let left: number = ALL_BPS;
  return [...sizes].map(([name, size], index) => {
    const share = index === sizes.size - 1 ? left : Math.floor((size * ALL_BPS) / all);
    left -= share;
    return { name, ...(name !== page && { referrer: page }), share: basisPoints(share) };
  });
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
