/** Updates and threads as a gateway sees them: followed at one host after the other, verified, and never older than what was seen. */
import { LRUCache } from 'lru-cache';
import { assertNotAborted, elapsed, orAborted } from '../../core/abort.ts';
import { backoff, type Backoff } from '../../core/backoff.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import {
  MAX_ENTRIES_PER_THREAD,
  MAX_FEED_VIEWS,
  MAX_SEEN_FEEDS,
  MAX_THREAD_BYTES,
  MAX_VISIT_HOSTS,
} from '../../core/limits.ts';
import { TokenBucket } from '../../core/rate.ts';
import { silentLog, systemClock, type Clock, type Log } from '../../core/ports.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { FEED_SERVICE } from '../blocks/index.ts';
import { encodeContentParams, type ContentRoute } from '../serve/index.ts';
import { violation } from '../wire/index.ts';
import { FeedReader } from './client.ts';
import { LIVE_TOPIC, type SignedEntry, type Topic } from './contract.ts';
import { checkEntry, entryStale } from './entry.ts';
import { idOf } from './thread.ts';

/** What a page asks for. */
export interface FeedWanted extends Topic {
  /** The name whose page shows it, if that is another one. */
  readonly referrer?: string | undefined;
}

export interface FeedSourceOptions {
  /** A circuit to some host that keeps the name, other than those in `avoid`. @throws RelaymintError NO_ROUTE, ABORTED. */
  route(
    site: Pick<FeedWanted, 'name' | 'referrer'>,
    options: { readonly avoid: ReadonlySet<NodeId>; readonly signal: AbortSignal },
  ): Promise<ContentRoute>;
  /** What the ledger says of a name, a few seconds old at most. @throws RelaymintError LEDGER_UNREACHABLE. */
  record(name: string): Promise<NameRecord | undefined>;
  readonly onBadHost?: (host: NodeId, error: RelaymintError, name: string) => void;
  /** Pauses after all hosts failed. */
  readonly retry?: Backoff;
  /** How long it is followed on after the last page that showed it has left, milliseconds. */
  readonly lingerMillis?: number;
  readonly clock?: Clock;
  readonly log?: Log;
}

/** One topic, as it is now and as it becomes. Dispose it: it is followed, and paid for, as long as somebody has it open. */
export interface FeedView extends Disposable {
  /** Resolves once a host has told all that there is. @throws RelaymintError NO_ROUTE, CONTENT_REFUSED, .. (no host does), ABORTED. */
  complete(signal: AbortSignal): Promise<void>;
  /** Verified. Of updates only the newest, unless its time is over. */
  entries(): readonly SignedEntry[];
  onChange(tell: () => void): Disposable;
}

export interface FeedSource extends AsyncDisposable {
  /** @throws RelaymintError LIMIT_EXCEEDED. */
  open(wanted: FeedWanted): FeedView;
}

const RETRY: Backoff = { first: 2_000, last: 30_000 };
const LINGER_MILLIS = 10_000;
const FOLLOWING = 'Following a feed';
/** Pages of a host with nothing new in them: a thread's worth of posts whose authors lost their names, and one each second. */
const BARREN_AT_ONCE = 64;
const BARREN_PER_SECOND = 1;
/** What one host did, as opposed to the way to it. That it is behind others is no fault. */
const HOST_FAULTS = ['CONTENT_REFUSED', 'ENTRY_INVALID', 'PROTOCOL_VIOLATION', 'LIMIT_EXCEEDED', 'TIMEOUT'] as const;

export function createFeedSource(options: FeedSourceOptions): FeedSource {
  return new Feeds(options);
}

class Feeds implements FeedSource {
  readonly #options: FeedSourceOptions;
  readonly #views = new Map<string, Followed>();
  /** The newest update of each name that was seen: no host takes us back. */
  readonly #seen = new LRUCache<string, number>({ max: MAX_SEEN_FEEDS });
  readonly #closing = new AbortController();

  constructor(options: FeedSourceOptions) {
    this.#options = options;
  }

  open(wanted: FeedWanted): FeedView {
    assertNotAborted(this.#closing.signal, FOLLOWING);
    const key = [wanted.name, wanted.topic, wanted.referrer ?? ''].join(' ');
    let followed = this.#views.get(key);
    // One that is leaving has let go of its host.
    if (followed === undefined || followed.isStopped) {
      if (this.#views.size >= MAX_FEED_VIEWS) {
        throw new RelaymintError('LIMIT_EXCEEDED', 'This gateway follows as many feeds as it can.', {
          remedy: 'Try again in a minute.',
        });
      }
      const mine = new Followed(wanted, this.#options, this.#seen);
      const ended = (): void => {
        if (this.#views.get(key) === mine) this.#views.delete(key);
      };
      mine.ended.then(ended, ended);
      this.#views.set(key, mine);
      followed = mine;
    }
    return followed.open();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new RelaymintError('CLOSED', 'The gateway is stopping.'));
    await Promise.all(
      [...this.#views.values()].map((view) => {
        view.stop();
        return view.ended;
      }),
    );
  }
}

/** One topic that is followed for all pages of one name that show it. */
class Followed {
  readonly #wanted: FeedWanted;
  readonly #options: FeedSourceOptions;
  readonly #seen: LRUCache<string, number>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #entries = new Map<string, SignedEntry>();
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

  constructor(wanted: FeedWanted, options: FeedSourceOptions, seen: LRUCache<string, number>) {
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
      },
      entries: () => this.#now(),
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

  get isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  stop(): void {
    clearTimeout(this.#lingering);
    clearTimeout(this.#expiring);
    this.#stop.abort(new RelaymintError('CLOSED', 'Nobody follows this any more.'));
  }

  #now(): readonly SignedEntry[] {
    const now = this.#clock.now();
    return [...this.#entries.values()].filter(({ entry: { expires } }) => expires === undefined || expires > now);
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
        if (asked > known && asked < MAX_VISIT_HOSTS && !isRelaymintError(error, 'BUDGET_EXHAUSTED')) {
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
    const barren = new TokenBucket(BARREN_PER_SECOND, () => performance.now(), BARREN_AT_ONCE);
    try {
      const params = encodeContentParams({ name, ...(referrer !== undefined && { referrer }) });
      using reader = new FeedReader(await route.openStream(FEED_SERVICE, params, { signal }));
      let from: number | 'newest' = topic === LIVE_TOPIC ? 'newest' : 0;
      let waits = false;
      for (;;) {
        const page = await reader.page({ topic, from, waits }, { signal });
        // What it carried is charged to the site; a budget that is used up ends it here.
        (await route.begin?.())?.();
        const [first] = page.entries;
        if (first !== undefined && (from === 'newest' ? page.entries.length > 1 || page.more : first.arrival <= from))
          throw violation('entries that were not asked for');
        let news = 0;
        let isBack = false;
        for (const { signed } of page.entries) {
          if (!(await this.#take(signed))) continue;
          news += 1;
          // Hidden words were not told.
          const { kind, target } = signed.entry;
          if (kind === 'show' && target !== undefined && !this.#entries.has(idOf(target))) isBack = true;
        }
        if (from === 'newest') this.#assertNotBehind(page.entries.at(-1)?.signed);
        from = isBack ? 0 : (page.entries.at(-1)?.arrival ?? (from === 'newest' ? 0 : from));
        waits = !page.more && !isBack;
        if (waits) {
          works();
          this.#complete();
        }
        const isLess = await this.#leaveOut();
        if (news > 0 || isLess) this.#tell();
        if (news > 0) this.#isContent = false;
        // A host is paid for each page: one that sends them without anything new in them is left.
        else if (!barren.take()) throw violation('pages with nothing new, one after the other');
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

  /** @returns whether it is news. @throws RelaymintError ENTRY_INVALID: it is another topic's; LEDGER_UNREACHABLE. */
  async #take(signed: SignedEntry): Promise<boolean> {
    const { entry } = signed;
    const { name, topic } = this.#wanted;
    if (entry.name !== name || entry.topic !== topic) {
      throw new RelaymintError('ENTRY_INVALID', `The host sent an entry of another topic than ${name}'s "${topic}".`, {
        remedy: 'Another host is asked.',
      });
    }
    const key = idOf(entry);
    const known = this.#entries.get(key);
    if (known !== undefined) return false;
    try {
      checkEntry(signed, await this.#options.record(entry.author), this.#clock.now());
    } catch (error) {
      // Its author's name may have changed hands since the host took it, and updates end.
      if (!isRelaymintError(error, 'ENTRY_INVALID', 'ENTRY_STALE')) throw error;
      this.#log.debug({ name, author: entry.author, err: error }, 'An entry is left out.');
      return false;
    }
    if (topic === LIVE_TOPIC) {
      if (entry.sequence < (this.#seen.get(name) ?? 0)) return false;
      this.#seen.set(name, entry.sequence);
      this.#entries.clear();
      this.#bytes = 0;
      this.#expireAt(entry.expires ?? 0);
    }
    this.#bytes += signed.encoded.length;
    if (this.#entries.size >= MAX_ENTRIES_PER_THREAD || this.#bytes > MAX_THREAD_BYTES) {
      throw new RelaymintError(
        'LIMIT_EXCEEDED',
        `The thread about ${topic} at this host has more than a thread may have.`,
        {
          remedy: 'Another host is asked.',
        },
      );
    }
    this.#entries.set(key, signed);
    return true;
  }

  /** What was said by who had the name before counts no more. @returns whether it is less now. @throws RelaymintError LEDGER_UNREACHABLE. */
  async #leaveOut(): Promise<boolean> {
    const { name, topic } = this.#wanted;
    const [newest] = this.#entries.values();
    // A thread has too many authors to ask for each time.
    if (topic !== LIVE_TOPIC || newest === undefined) return false;
    try {
      checkEntry(newest, await this.#options.record(name), this.#clock.now());
      return false;
    } catch (error) {
      if (!isRelaymintError(error, 'ENTRY_INVALID')) {
        if (isRelaymintError(error, 'ENTRY_STALE')) return false;
        throw error;
      }
      this.#entries.clear();
      this.#bytes = 0;
      return true;
    }
  }

  #tell(): void {
    for (const tell of this.#listeners) tell();
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
    const seen = this.#seen.get(name) ?? 0;
    const isKnown = newest !== undefined && this.#entries.has(idOf(newest.entry));
    if (isKnown && newest.entry.sequence >= seen) return;
    this.#isBehind = true;
    if (this.#isContent) return;
    throw entryStale(
      newest === undefined ? `of ${name} is not at this host` : `of ${name} that this host has is not the newest`,
    );
  }
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
