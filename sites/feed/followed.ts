/** One topic that a gateway follows: at one host after the other, verified, and never older than what was seen. */
import { deadline, elapsed, orAborted } from '../../core/abort.ts';
import { backoff, type Backoff } from '../../core/backoff.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import {
  FEED_WAIT_MILLIS,
  FIRST_ANSWER_MILLIS,
  MAX_ATTRIBUTED_NAMES,
  MAX_AUTHOR_LOOKUPS,
  MAX_ENTRIES_PER_THREAD,
  MAX_THREAD_BYTES,
  MAX_VISIT_HOSTS,
  NAME_CACHE_MILLIS,
} from '../../core/limits.ts';
import { silentLog, systemClock, type Clock, type Log } from '../../core/ports.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { FEED_SERVICE, type PaidStream } from '../blocks/index.ts';
import { encodeContentParams, type ContentRoute } from '../serve/index.ts';
import { violation } from '../wire/index.ts';
import { Barren } from './barren.ts';
import { FeedReader } from './client.ts';
import { LIVE_TOPIC, type Arrived, type SignedEntry } from './contract.ts';
import { checkEntry, entryStale } from './entry.ts';
import { UPDATE_PLACE, isNewer, moderationPlace, placeOf, postPlace, wordsPlace } from './places.ts';
import type { FeedSourceOptions, FeedView, FeedWanted, Seen } from './wanted.ts';

const RETRY: Backoff = { first: 2_000, last: 30_000 };
const LINGER_MILLIS = 10_000;
export const FOLLOWING: string = 'Following a feed';
/** What one host did, as opposed to the way to it. That it is behind others is no fault. */
const HOST_FAULTS = ['CONTENT_REFUSED', 'PROTOCOL_VIOLATION', 'LIMIT_EXCEEDED', 'TIMEOUT'] as const;

/** One topic that is followed for all pages of one name that show it. */
export class Followed {
  readonly #wanted: FeedWanted;
  readonly #options: FeedSourceOptions;
  readonly #seen: Seen;
  readonly #clock: Clock;
  readonly #log: Log;
  /** By place: of what is said of one post the newest stands there. */
  readonly #entries = new Map<string, SignedEntry>();
  /** Places of those whose author's name is another's now. */
  readonly #lapsed = new Set<string>();
  readonly #authors = new Map<string, NameRecord | undefined>();
  #shown: readonly SignedEntry[] | undefined;
  #posts = 0;
  /** Since the last time that a host had told everything. */
  #isAnew = false;
  #checking: Promise<void> | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  #completing: PromiseWithResolvers;
  #isComplete = false;
  /** With a host that is behind, since all are. */
  #isContent = false;
  /** Some host answered, and had nothing that counts. */
  #isBehind = false;
  #bytes = 0;
  #open = 0;
  #lingering: NodeJS.Timeout | undefined;
  /** When the newest update counts no more. */
  #expiring: NodeJS.Timeout | undefined;
  readonly ended: Promise<void>;

  constructor(wanted: FeedWanted, options: FeedSourceOptions, seen: Seen) {
    this.#wanted = wanted;
    this.#options = options;
    this.#seen = seen;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLog;
    this.#completing = withResolvers();
    this.ended = this.#run();
  }

  open(): FeedView {
    this.#open += 1;
    clearTimeout(this.#lingering);
    let isOpen = true;
    return {
      complete: async (signal) => {
        if (!this.#isComplete) await orAborted(this.#completing.promise, signal, FOLLOWING);
        await orAborted(this.#checked(), signal, FOLLOWING);
      },
      entries: () => this.#now(),
      author: (name) => this.#authors.get(name),
      onChange: (tell) => {
        const mine = (): void => tell();
        this.#listeners.add(mine);
        return { [Symbol.dispose]: () => void this.#listeners.delete(mine) };
      },
      [Symbol.dispose]: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#open -= 1;
        if (this.#open > 0) return;
        this.#lingering = setTimeout(() => this.stop(), this.#options.lingerMillis ?? LINGER_MILLIS);
        this.#lingering.unref();
      },
    };
  }

  /** Who pays for it: the site in whose page it is. */
  get payer(): string {
    return this.#wanted.referrer ?? this.#wanted.name;
  }

  /** Nobody looks at it. */
  get isIdle(): boolean {
    return this.#open === 0;
  }

  get isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  stop(): void {
    clearTimeout(this.#lingering);
    clearTimeout(this.#expiring);
    this.#stop.abort(new RelaymintError('CLOSED', 'Nobody follows this any more.'));
  }

  #now(): readonly SignedEntry[] {
    this.#shown ??= [...this.#entries].filter(([place]) => !this.#lapsed.has(place)).map(([, signed]) => signed);
    if (this.#wanted.topic !== LIVE_TOPIC) return this.#shown;
    const now = this.#clock.now();
    return this.#shown.filter(({ entry: { expires } }) => expires === undefined || expires > now);
  }

  /** Names change hands while they are followed: what was said in them before is shown no more, and nobody inherits it. */
  #checked(): Promise<void> {
    // A clock that was set back says nothing.
    const age = this.#clock.now() - this.#checkedAt;
    if (age >= 0 && age < NAME_CACHE_MILLIS) return Promise.resolve();
    return (this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    }));
  }

  async #check(): Promise<void> {
    const began = this.#clock.now();
    try {
      await this.#ask([...this.#entries.values()].map(({ entry }) => entry.author));
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      this.#log.debug({ name: this.#wanted.name, err: error }, 'The ledger does not say whose posts these are.');
      return;
    }
    this.#checkedAt = began;
    if (this.#judge()) this.#tell();
  }

  /** By what the ledger said last. @returns whether what is shown is other than before. */
  #judge(): boolean {
    let isNews = false;
    for (const [place, signed] of this.#entries) {
      const isGood = this.#isGood(signed);
      if (isGood === !this.#lapsed.has(place)) continue;
      if (isGood) this.#lapsed.delete(place);
      else this.#lapsed.add(place);
      isNews = true;
    }
    return isNews;
  }

  /** What the ledger says of these, each asked once. @throws RelaymintError LEDGER_UNREACHABLE */
  async #ask(authors: Iterable<string>): Promise<void> {
    const names = [...new Set(authors)];
    if (this.#authors.size > MAX_ATTRIBUTED_NAMES * 64 && this.#authors.size > 2 * this.#entries.size)
      this.#prune(names);
    for (let at = 0; at < names.length; at += MAX_AUTHOR_LOOKUPS) {
      const some = names.slice(at, at + MAX_AUTHOR_LOOKUPS);
      const records = await Promise.all(some.map((name) => this.#options.record(name)));
      for (const [index, name] of some.entries()) this.#authors.set(name, records[index]);
    }
  }

  /** Of those who said nothing that is kept, nothing is remembered. */
  #prune(asked: readonly string[]): void {
    const used = new Set([...asked, ...[...this.#entries.values()].map(({ entry }) => entry.author)]);
    for (const author of this.#authors.keys()) if (!used.has(author)) this.#authors.delete(author);
  }

  #isGood(signed: SignedEntry): boolean {
    const { author } = signed.entry;
    try {
      checkEntry(signed, this.#authors.get(author), this.#clock.now());
      return true;
    } catch (error) {
      // Its author's name may have changed hands since the host took it, and updates end.
      if (!isRelaymintError(error, 'ENTRY_INVALID', 'ENTRY_STALE')) throw error;
      this.#log.debug({ name: this.#wanted.name, author, err: error }, 'An entry is left out.');
      return false;
    }
  }

  #tell(): void {
    this.#shown = undefined;
    for (const tell of this.#listeners) tell();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const avoid = new Set<NodeId>();
    let failures = 0;
    /** Hosts that were avoided before the last one failed. */
    let known = 0;
    while (!signal.aborted) {
      try {
        await this.#followOne(avoid, signal, () => {
          failures = 0;
        });
      } catch (error) {
        if (signal.aborted) break;
        if (!isRelaymintError(error)) {
          this.#log.error({ err: error }, 'Following a feed failed: this is a fault in Relaymint.');
          this.#completing.reject(error instanceof Error ? error : new Error(String(error)));
          return;
        }
        // A host failed: the next one is asked. Where there is no way to any, asking at once again would not help.
        const asked = avoid.size;
        if (
          asked > known &&
          asked < MAX_VISIT_HOSTS &&
          !isRelaymintError(error, 'BUDGET_EXHAUSTED', 'BUDGET_STOPPED')
        ) {
          known = asked;
          continue;
        }
        known = 0;
        avoid.clear();
        failures += 1;
        // None has what was seen, or anything: the next one may keep us waiting for it.
        this.#isContent = true;
        this.#finish(error);
        if (!(await elapsed(backoff(failures, this.#options.retry ?? RETRY), signal))) break;
      }
    }
    this.#completing.reject(new RelaymintError('CLOSED', 'Nobody follows this any more.'));
  }

  /** All hosts were asked: who waits gets what there is, or hears why there is nothing. */
  #finish(error: RelaymintError): void {
    if (this.#isComplete) return;
    if (this.#isBehind || this.#entries.size > 0) this.#complete();
    else {
      this.#completing.reject(error);
      this.#completing = withResolvers();
    }
  }

  #complete(): void {
    this.#isComplete = true;
    this.#completing.resolve();
  }

  /** Until the host fails. @throws RelaymintError */
  async #followOne(avoid: Set<NodeId>, signal: AbortSignal, works: () => void): Promise<never> {
    const { name, topic, referrer } = this.#wanted;
    const route = await this.#options.route({ name, referrer }, { avoid, signal });
    let barren = new Barren();
    try {
      const params = encodeContentParams({ name, ...(referrer !== undefined && { referrer }) });
      using reader = new FeedReader(await this.#opened(route, params, signal));
      let from: number | 'newest' = topic === LIVE_TOPIC ? 'newest' : 0;
      let waits = false;
      for (;;) {
        // Nothing is asked for that the site may not pay.
        (await route.begin?.())?.();
        const asked = performance.now();
        const waited = waits;
        const page = await reader.page({ topic, from, waits }, { signal });
        if (waits && page.entries.length === 0 && performance.now() - asked < FEED_WAIT_MILLIS / 2)
          throw violation('an empty page long before its time');
        // What it carried is charged to the site.
        (await route.begin?.())?.();
        const [first] = page.entries;
        if (first !== undefined && (from === 'newest' ? page.entries.length > 1 || page.more : first.arrival <= from))
          throw violation('entries that were not asked for');
        // Only who keeps us waiting as it was asked to is a host to come back to at once.
        if (waited) works();
        assertFewAuthors(page.entries);
        let news = 0;
        let isBack = false;
        // The owner's too: what he said of posts elsewhere counts here.
        await this.#ask([name, ...page.entries.map(({ signed }) => signed.entry.author)]);
        for (const { signed } of page.entries) {
          if (!this.#take(signed)) continue;
          news += 1;
          // Hidden words were not told.
          const { kind, target } = signed.entry;
          if (kind === 'show' && target !== undefined && !this.#entries.has(postPlace(target))) isBack = true;
        }
        if (this.#isTooMuch()) {
          this.#forget();
          // Once it may be what other hosts told as well.
          if (this.#isAnew) throw violation('a thread with more than a thread may have');
          this.#isAnew = true;
          from = 0;
          continue;
        }
        if (from === 'newest') this.#assertNotBehind(page.entries.at(-1)?.signed);
        from = isBack ? 0 : (page.entries.at(-1)?.arrival ?? (from === 'newest' ? 0 : from));
        waits = !page.more && !isBack;
        // All of it comes once more.
        if (isBack) barren = new Barren();
        if (waits) {
          this.#isAnew = false;
          this.#complete();
        }
        // Of a thread there are too many authors to ask for with each page.
        const isLess = topic === LIVE_TOPIC ? this.#judge() : false;
        if (topic !== LIVE_TOPIC) await this.#checked();
        if (news > 0 || isLess) this.#tell();
        if (news > 0) this.#isContent = false;
        // A host is paid for each page: one that sends them without anything new in them is left.
        else if (!barren.take(page.entries)) throw violation('pages with nothing new, one after the other');
        else if (waits) this.#assertNotSilent();
      }
    } catch (error) {
      avoid.add(route.host);
      if (!signal.aborted && isRelaymintError(error, ...HOST_FAULTS))
        this.#options.onBadHost?.(route.host, error, name);
      this.#log.debug({ host: route.host, name, err: error }, 'A host of a feed failed.');
      throw error;
    }
  }

  /** @throws RelaymintError TIMEOUT: the host does not take the stream. */
  async #opened(route: ContentRoute, params: Uint8Array, signal: AbortSignal): Promise<PaidStream> {
    using limit = deadline(this.#options.firstAnswerMillis ?? FIRST_ANSWER_MILLIS, FOLLOWING, signal);
    return await orAborted(route.openStream(FEED_SERVICE, params, { signal: limit.signal }), limit.signal, FOLLOWING);
  }

  /** @returns whether it is news. @throws RelaymintError PROTOCOL_VIOLATION: it is another topic's. */
  #take(signed: SignedEntry): boolean {
    const { entry, encoded } = signed;
    const { name, topic } = this.#wanted;
    if (entry.name !== name || entry.topic !== topic) throw violation('an entry of another topic');
    const place = placeOf(entry);
    const known = this.#entries.get(place);
    if (known !== undefined && !isNewer(entry, known.entry)) return false;
    if (!this.#isGood(signed)) return false;
    if (topic === LIVE_TOPIC) {
      if (entry.sequence < (this.#seen.updates.get(name) ?? 0)) return false;
      this.#seen.updates.set(name, entry.sequence);
      this.#expireAt(entry.expires ?? 0);
    } else if (!this.#takeSaid(signed, place)) return false;
    if (known === undefined && entry.kind === 'post') this.#posts += 1;
    this.#bytes += encoded.length - (known?.encoded.length ?? 0);
    this.#entries.set(place, signed);
    this.#lapsed.delete(place);
    return true;
  }

  /** Of a post. @returns whether it counts, after what was seen before, at other hosts too. */
  #takeSaid(signed: SignedEntry, place: string): boolean {
    const { entry } = signed;
    const { removals } = this.#seen;
    const thread = `${entry.name} ${entry.topic}`;
    if (entry.kind === 'post') {
      for (const about of [wordsPlace(entry), moderationPlace(entry)]) {
        const seen = removals.get(`${thread} ${about}`);
        if (seen !== undefined && !this.#entries.has(about) && this.#isGood(seen)) this.#entries.set(about, seen);
      }
      return true;
    }
    const seen = removals.get(`${thread} ${place}`);
    if (seen !== undefined && isNewer(seen.entry, entry) && this.#isGood(seen)) return false;
    if (entry.kind !== 'edit') removals.set(`${thread} ${place}`, signed);
    return true;
  }

  #isTooMuch(): boolean {
    // Posts, and what they were edited to.
    return this.#posts > MAX_ENTRIES_PER_THREAD || this.#bytes > 2 * MAX_THREAD_BYTES;
  }

  #forget(): void {
    this.#entries.clear();
    this.#lapsed.clear();
    this.#posts = 0;
    this.#bytes = 0;
    this.#shown = undefined;
  }

  /** Who shows an update hears when it counts no more. */
  #expireAt(expires: number): void {
    clearTimeout(this.#expiring);
    this.#expiring = setTimeout(() => this.#tell(), Math.max(0, expires - this.#clock.now()));
    this.#expiring.unref();
  }

  /** A host with an update that is over, and nothing newer, may keep it back: others are asked once. @throws RelaymintError ENTRY_STALE. */
  #assertNotSilent(): void {
    if (this.#wanted.topic !== LIVE_TOPIC || this.#isContent || this.#entries.size === 0 || this.#now().length > 0)
      return;
    throw entryStale(`of ${this.#wanted.name} that this host has is over`);
  }

  /** A host that has not what was seen elsewhere, or nothing that counts, is left for another one. @throws RelaymintError ENTRY_STALE. */
  #assertNotBehind(newest: SignedEntry | undefined): void {
    const { name } = this.#wanted;
    const seen = this.#seen.updates.get(name) ?? 0;
    const known = this.#entries.get(UPDATE_PLACE);
    const isKnown = newest !== undefined && known?.entry.sequence === newest.entry.sequence;
    if (isKnown && newest.entry.sequence >= seen) return;
    this.#isBehind = true;
    if (this.#isContent) return;
    throw entryStale(
      newest === undefined ? `of ${name} is not at this host` : `of ${name} that this host has is not the newest`,
    );
  }
}

/** Each author is a question to the ledger; hosts put no more of those that are paid on a page. @throws RelaymintError PROTOCOL_VIOLATION */
function assertFewAuthors(entries: readonly Arrived[]): void {
  const paid = entries.map(({ signed }) => signed.entry).filter(({ kind }) => kind === 'post' || kind === 'edit');
  if (new Set(paid.map(({ author }) => author)).size > MAX_ATTRIBUTED_NAMES)
    throw violation('a page of too many authors');
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** `Promise.withResolvers` of newer runtimes, whose rejection nobody has to see. */
function withResolvers(): PromiseWithResolvers {
  let [resolve, reject] = [(): void => {}, (_error: Error): void => {}];
  const promise = new Promise<void>((done, fail) => {
    [resolve, reject] = [done, fail];
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
