/**
 * A host reads what other hosts of the same names were told, as any reader does, and pays for it: what was brought to one of them is read at
 * each. What they tell proves itself; all that a host asks of an author who brings something it asks of this too.
 */
import { LRUCache } from 'lru-cache';
import { assertNotAborted, deadline, orAborted } from '../../core/abort.ts';
import { isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import {
  FIRST_ANSWER_MILLIS,
  MAX_SYNC_BYTES,
  MAX_SYNC_CURSORS,
  MAX_SYNC_HOSTS,
  MAX_SYNC_TOPICS,
  SYNC_AGAIN_MILLIS,
  SYNC_HOST_MILLIS,
  SYNC_INTEREST_MILLIS,
  SYNC_MILLIS,
} from '../../core/limits.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { FEED_SERVICE } from '../blocks/index.ts';
import { encodeContentParams, type ContentRoute } from '../serve/index.ts';
import { violation } from '../wire/index.ts';
import { Barren } from './barren.ts';
import { FeedReader } from './client.ts';
import { LIVE_TOPIC, type FeedStore, type SignedEntry, type Topic } from './contract.ts';

export interface FeedSyncOptions {
  readonly feeds: Pick<FeedStore, 'newest' | 'known'>;
  /** As if somebody brought it. @throws RelaymintError as a host refuses it. */
  take(signed: SignedEntry): Promise<number>;
  /** Other hosts that say they keep the name and ask no more than they should, in random order. */
  others(name: string): readonly NodeId[];
  /** A circuit to that host. @throws RelaymintError NO_ROUTE, BUDGET_EXHAUSTED, .. */
  route(host: NodeId, name: string, signal: AbortSignal): Promise<ContentRoute>;
  readonly clock: Clock;
  readonly log: Log;
  /** Monotonic, milliseconds. */
  readonly now?: () => number;
}

export interface FeedSync {
  /** Somebody reads it here, or said something in it: it is read elsewhere too, for a while. */
  note(topic: Topic): Promise<void>;
  /** Asks the others once. Call it every minute or so. @throws RelaymintError ABORTED. */
  round(signal: AbortSignal): Promise<void>;
}

const ASKING = 'Reading what other hosts were told';

export function createFeedSync(options: FeedSyncOptions): FeedSync {
  return new Sync(options);
}

/** Hosts that are asked for a name: the same ones for a while, since a first circuit to one may take a channel. */
interface Chosen {
  readonly hosts: Set<NodeId>;
  /** Those of them that had something new. */
  readonly useful: Set<NodeId>;
  readonly since: number;
}

class Sync implements FeedSync {
  readonly #options: FeedSyncOptions;
  readonly #now: () => number;
  /** Topics of which something is here, and those of which nothing is: these cost nothing to ask for, and push out none of the others. */
  readonly #said: LRUCache<string, Topic>;
  readonly #asked: LRUCache<string, Topic>;
  readonly #chosen = new LRUCache<string, Chosen>({ max: MAX_SYNC_TOPICS });
  /** The last arrival that was read, by host and topic. */
  readonly #cursors = new LRUCache<string, number>({ max: MAX_SYNC_CURSORS });
  /** What could not be taken for now, and when it is asked for again. */
  readonly #again = new LRUCache<string, { readonly from: number; readonly at: number }>({ max: MAX_SYNC_CURSORS });
  readonly #barren = new LRUCache<NodeId, Barren>({ max: MAX_SYNC_TOPICS });
  /** Hosts that told what they should not, or nothing. */
  readonly #bad: LRUCache<NodeId, true>;

  constructor(options: FeedSyncOptions) {
    this.#options = options;
    const now = options.now ?? ((): number => performance.now());
    this.#now = now;
    const clocked = { perf: { now }, ttlResolution: 0 };
    const topics = (): LRUCache<string, Topic> =>
      new LRUCache({ max: MAX_SYNC_TOPICS, ttl: SYNC_INTEREST_MILLIS, ...clocked });
    this.#said = topics();
    this.#asked = topics();
    this.#bad = new LRUCache({ max: MAX_SYNC_CURSORS, ttl: SYNC_HOST_MILLIS, ...clocked });
  }

  async note({ name, topic }: Topic): Promise<void> {
    const isKept = (await this.#options.feeds.newest({ name, topic })) !== undefined;
    (isKept ? this.#said : this.#asked).set(`${name} ${topic}`, { name, topic });
  }

  async round(signal: AbortSignal): Promise<void> {
    const ofName = new Map<string, Map<string, Topic>>();
    for (const topic of [...this.#said.values(), ...this.#asked.values()]) {
      const some = ofName.get(topic.name) ?? new Map<string, Topic>();
      ofName.set(topic.name, some.set(topic.topic, topic));
    }
    let left = MAX_SYNC_BYTES;
    for (const [name, some] of ofName) {
      const topics = await this.#behind([...some.values()]);
      for (const host of topics.length === 0 ? [] : this.#hostsOf(name)) {
        if (left <= 0) return;
        left -= await this.#read(host, { name, topics, most: left }, signal);
      }
    }
  }

  /** Without updates that are brought here as they come. */
  async #behind(topics: readonly Topic[]): Promise<readonly Topic[]> {
    const { feeds, clock } = this.#options;
    const behind: Topic[] = [];
    for (const topic of topics) {
      const newest = topic.topic === LIVE_TOPIC ? await feeds.newest(topic) : undefined;
      if (newest === undefined || newest.signed.entry.created < clock.now() - SYNC_MILLIS) behind.push(topic);
    }
    return behind;
  }

  #hostsOf(name: string): readonly NodeId[] {
    const others = this.#options.others(name).filter((host) => !this.#bad.has(host));
    const before = this.#chosen.get(name);
    const isOver = before === undefined || this.#now() - before.since >= SYNC_HOST_MILLIS;
    const stay = (isOver ? before?.useful : before.hosts) ?? new Set();
    const hosts = new Set(others.filter((host) => stay.has(host)));
    for (const host of others) if (hosts.size < MAX_SYNC_HOSTS) hosts.add(host);
    const useful = isOver ? new Set<NodeId>() : before.useful;
    this.#chosen.set(name, { hosts, useful, since: isOver ? this.#now() : before.since });
    return [...hosts];
  }

  /** @returns bytes of entries that came. */
  async #read(
    host: NodeId,
    { name, topics, most }: { readonly name: string; readonly topics: readonly Topic[]; readonly most: number },
    signal: AbortSignal,
  ): Promise<number> {
    const { log } = this.#options;
    const pull = { host, left: most };
    try {
      using limit = deadline(FIRST_ANSWER_MILLIS, ASKING, signal);
      const route = await this.#options.route(host, name, limit.signal);
      if (route.host !== host) return 0;
      const stream = route.openStream(FEED_SERVICE, encodeContentParams({ name }), { signal: limit.signal });
      using reader = new FeedReader(await orAborted(stream, limit.signal, ASKING));
      for (const topic of topics) {
        if (pull.left <= 0) break;
        await this.#readTopic(pull, { route, reader, topic, signal });
      }
    } catch (error) {
      assertNotAborted(signal, ASKING);
      if (!isRelaymintError(error)) throw error;
      if (isRelaymintError(error, 'PROTOCOL_VIOLATION', 'CONTENT_REFUSED', 'TIMEOUT')) this.#bad.set(host, true);
      log.debug({ host, name, err: error }, 'Another host of a name was not read.');
    }
    return most - pull.left;
  }

  async #readTopic(
    pull: { readonly host: NodeId; left: number },
    {
      route,
      reader,
      topic,
      signal,
    }: {
      readonly route: ContentRoute;
      readonly reader: FeedReader;
      readonly topic: Topic;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const { host } = pull;
    const key = `${host} ${topic.name} ${topic.topic}`;
    const isLive = topic.topic === LIVE_TOPIC;
    let from: number | 'newest' = isLive ? 'newest' : this.#begin(key);
    const barren = this.#barrenOf(host);
    for (;;) {
      // Nothing is asked for that may not be paid.
      (await route.begin?.())?.();
      const page = await reader.page({ topic: topic.topic, from, waits: false }, { signal });
      (await route.begin?.())?.();
      let news = 0;
      let isBack = false;
      for (const { arrival, signed } of page.entries) {
        const { entry, encoded } = signed;
        pull.left -= encoded.length;
        if (entry.name !== topic.name || entry.topic !== topic.topic) throw violation('an entry of another topic');
        const outcome = await this.#take(signed);
        if (outcome === 'later' && !this.#again.has(key))
          this.#again.set(key, { from: arrival - 1, at: this.#now() + SYNC_AGAIN_MILLIS });
        if (outcome === 'news') news += 1;
        // Hidden words were not told: next time all of it comes once more.
        if (outcome === 'news' && entry.kind === 'show') isBack = true;
        from = arrival;
      }
      if (!isLive) this.#cursors.set(key, isBack || from === 'newest' ? 0 : from);
      if (news > 0) this.#chosen.get(topic.name)?.useful.add(host);
      else if (page.entries.length > 0 && !barren.take(page.entries)) {
        this.#bad.set(host, true);
        pull.left = 0;
      }
      if (isLive || isBack || !page.more || pull.left <= 0) return;
    }
  }

  /** After which arrival to read on: of what could not be taken for now, once more. */
  #begin(key: string): number {
    const again = this.#again.get(key);
    if (again === undefined || this.#now() < again.at) return this.#cursors.get(key) ?? 0;
    this.#again.delete(key);
    return again.from;
  }

  async #take(signed: SignedEntry): Promise<'news' | 'known' | 'later'> {
    try {
      if ((await this.#options.feeds.known(signed)) !== undefined) return 'known';
      await this.#options.take(signed);
      return 'news';
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      // What is refused for good is so at each time; the rest for now.
      return isRelaymintError(error, 'ENTRY_STALE', 'ENTRY_INVALID', 'CONTENT_REFUSED') ? 'known' : 'later';
    }
  }

  #barrenOf(host: NodeId): Barren {
    const known = this.#barren.get(host) ?? new Barren();
    this.#barren.set(host, known);
    return known;
  }
}
