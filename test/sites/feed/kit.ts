/** A forum, profiles, and hosts that keep its threads: real stores and services over loopback sockets. */
import { randomBytes } from 'node:crypto';
import type { NameShare } from '../../../core/attribution.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { nodeId, type NodeId } from '../../../core/ids.ts';
import { unixMillis } from '../../../core/units.ts';
import { encodeContentParams, type ContentRoute } from '../../../sites/serve/index.ts';
import {
  EntryWriter,
  FeedReader,
  createFeedServices,
  createFeedSource,
  encodeWriteParams,
  openFeedStore,
  signEntry,
  type Entry,
  type FeedSource,
  type FeedSourceOptions,
  type FeedStore,
  type SignedEntry,
} from '../../../sites/feed/index.ts';
import { silentLog } from '../../../core/ports.ts';
import type { NameRecord } from '../../../ledger/contract.ts';
import type { BlockStore, ServiceHandler } from '../../../sites/blocks/index.ts';
import {
  NameBook,
  TestClock,
  rawBlock,
  socketPair,
  temporaryFolder,
  temporaryStore,
  wallet,
  type Cleanup,
  type TestWallet,
} from '../kit.ts';
import { recordOf, withManifest } from '../manifest/kit.ts';

export const FORUM = 'forum.web3';
export const TOPIC = '/talk';
const { signal } = new AbortController();

/** Whose wallet has which name. */
const WALLETS: Readonly<Record<string, number>> = { [FORUM]: 1, 'alice.sso': 2, 'bob.sso': 3, 'carol.sso': 4 };

export class Town {
  readonly ledger: NameBook = new NameBook();
  readonly clock: TestClock = new TestClock();
  readonly #cleanup: Cleanup;
  #numbers = 0;

  constructor(cleanup: Cleanup) {
    this.#cleanup = cleanup;
    for (const [name, seed] of Object.entries(WALLETS))
      this.ledger.register(name, new Uint8Array(), wallet(seed).address);
  }

  /** Signed by who has the author's name at first, or by another wallet. */
  async entry(change: Partial<Entry> & Pick<Entry, 'author'>, words?: string, seed?: number): Promise<SignedEntry> {
    const now = this.clock.now();
    this.#numbers += 1;
    const entry = {
      kind: 'post' as const,
      name: FORUM,
      topic: TOPIC,
      sequence: now + this.#numbers,
      created: unixMillis(now + this.#numbers),
      ...(words !== undefined && { mediaType: 'text/plain', content: Buffer.from(words) }),
      ...change,
    };
    return await signEntry(entry, wallet(seed ?? WALLETS[entry.author] ?? 9));
  }

  async host(comments: 'anybody' | 'none' = 'anybody'): Promise<FeedHost> {
    const store = await temporaryStore(this.#cleanup);
    const { cid, block } = rawBlock('the front page');
    const session = store.begin();
    await session.put(cid, block);
    await session.pin(FORUM, cid);
    await session.close();
    const feeds = await openFeedStore(await temporaryFolder(this.#cleanup), silentLog);
    this.#cleanup.add(() => feeds[Symbol.asyncDispose]());
    const { ledger, clock } = this;
    const { read, update, post } = createFeedServices({ feeds, store, ledger, clock });
    const host = new FeedHost(this.#cleanup, { feed: read, update, post }, { feeds, store });
    await this.keeps(host, this.ledger.register(FORUM, cid.bytes), wallet(1), comments);
    return host;
  }

  /** A manifest of who has the name. */
  async keeps(
    { store }: FeedHost,
    before: NameRecord,
    key: TestWallet,
    comments: 'anybody' | 'none' = 'anybody',
  ): Promise<void> {
    const { record, signed } = await withManifest(recordOf(before), { key, change: { comments } });
    this.ledger.records.set(FORUM, record);
    const session = store?.begin();
    await session?.put(signed.cid, signed.block);
    await session?.pin(FORUM, signed.cid);
    await session?.close();
  }

  /** What a gateway sees that is asked for these hosts, in this order. */
  source(
    hosts: readonly Pick<FeedHost, 'id' | 'route'>[],
    bad: string[] = [],
    options: Partial<FeedSourceOptions> = {},
  ): FeedSource {
    const source = createFeedSource({
      route: (_site, { avoid }) => {
        const host = hosts.find(({ id }) => !avoid.has(id));
        if (host === undefined) return Promise.reject(noRoute());
        return Promise.resolve(host.route);
      },
      record: (name) => this.ledger.name(name),
      onBadHost: (_host, error) => bad.push(error.message),
      retry: { first: 10, last: 10 },
      lingerMillis: 0,
      clock: this.clock,
      ...options,
    });
    this.#cleanup.add(() => source[Symbol.asyncDispose]());
    return source;
  }
}

export class FeedHost {
  readonly id: NodeId = nodeId(randomBytes(32));
  /** Of each page that was sent. */
  readonly shares: (readonly NameShare[])[] = [];
  readonly feeds: FeedStore | undefined;
  readonly store: BlockStore | undefined;
  readonly #cleanup: Cleanup;
  readonly #services: Readonly<Record<string, ServiceHandler>>;

  constructor(
    cleanup: Cleanup,
    services: Readonly<Record<string, ServiceHandler>>,
    kept: { readonly feeds?: FeedStore; readonly store?: BlockStore } = {},
  ) {
    this.#cleanup = cleanup;
    this.#services = services;
    this.feeds = kept.feeds;
    this.store = kept.store;
  }

  get route(): ContentRoute {
    return {
      host: this.id,
      isOpen: true,
      openStream: async (service, params) => {
        const [near, far] = await socketPair(this.#cleanup);
        const attribute = (shares: readonly NameShare[]): void => void this.shares.push(shares);
        this.#services[service]?.(Object.assign(far, { attribute }), params);
        return near;
      },
    };
  }

  async bring(signed: SignedEntry, service: 'post' | 'update' = 'post'): Promise<void> {
    using writer = new EntryWriter(await this.route.openStream(service, encodeWriteParams()));
    await writer.bring(signed, { signal });
  }

  /** All that it tells of the thread to who has nothing yet. */
  async told(referrer?: string): Promise<readonly SignedEntry[]> {
    const params = encodeContentParams({ name: FORUM, ...(referrer !== undefined && { referrer }) });
    using reader = new FeedReader(await this.route.openStream('feed', params));
    const all: SignedEntry[] = [];
    let from = 0;
    for (;;) {
      const { entries, more } = await reader.page({ topic: TOPIC, from, waits: false }, { signal });
      all.push(...entries.map(({ signed }) => signed));
      from = entries.at(-1)?.arrival ?? from;
      if (!more) return all;
    }
  }
}

function noRoute(): RelaymintError {
  return new RelaymintError('NO_ROUTE', 'No other host is known.', { remedy: 'Start one.' });
}

/** What an entry says. */
export function textOf(content: Uint8Array | undefined): string | undefined {
  return content && Buffer.from(content).toString();
}
