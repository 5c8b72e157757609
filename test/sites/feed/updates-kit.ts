/** Hosts with updates of test names, reached over loopback sockets, and hosts that lie. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { NameShare } from '../../../core/attribution.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { nodeId, type NodeId } from '../../../core/ids.ts';
import { unixMillis } from '../../../core/units.ts';
import type { ServiceHandler } from '../../../sites/blocks/index.ts';
import {
  EntryWriter,
  FeedReader,
  createFeedServices,
  createFeedSource,
  encodeWriteParams,
  openFeedStore,
  signEntry,
  type FeedSource,
  type FeedSourceOptions,
  type FeedStore,
  type FeedView,
  type SignedEntry,
} from '../../../sites/feed/index.ts';
import { encodeContentParams, type ContentRoute } from '../../../sites/serve/index.ts';
import { silentLog } from '../../../core/ports.ts';
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

export const NAME = 'ferry.route';
export const OWNER: TestWallet = wallet(1);
export const signal: AbortSignal = new AbortController().signal;

/** What all hosts and gateways of a test share. */
export class FeedWorld {
  readonly cleanup: Cleanup;
  readonly clock: TestClock = new TestClock();
  readonly ledger: NameBook = new NameBook();

  constructor(cleanup: Cleanup) {
    this.cleanup = cleanup;
    this.ledger.register(NAME, rawBlock(NAME).cid.bytes);
  }

  /** Signed by the owner unless `key` says otherwise, made now. */
  async update(
    sequence: number,
    {
      name = NAME,
      words = `at ${sequence}`,
      life = 60_000,
      key = OWNER,
      ago = 0,
    }: {
      readonly name?: string;
      readonly words?: string | Uint8Array;
      readonly life?: number;
      readonly key?: TestWallet;
      /** Made so many milliseconds before now. */
      readonly ago?: number;
    } = {},
  ): Promise<SignedEntry> {
    const created = unixMillis(this.clock.now() - ago);
    return await signEntry(
      {
        kind: 'update',
        name,
        topic: '',
        author: name,
        sequence,
        created,
        expires: unixMillis(created + life),
        mediaType: 'text/plain',
        content: typeof words === 'string' ? new TextEncoder().encode(words) : words,
      },
      key,
    );
  }

  async host({ names = [NAME], directory }: { names?: readonly string[]; directory?: string } = {}): Promise<FeedHost> {
    const store = await temporaryStore(this.cleanup);
    const session = store.begin();
    for (const name of names) {
      const { cid, block } = rawBlock(name);
      await session.put(cid, block);
      await session.pin(name, cid);
    }
    await session.close();
    const feeds = await openFeedStore(directory ?? (await temporaryFolder(this.cleanup)), silentLog);
    this.cleanup.add(() => feeds[Symbol.asyncDispose]());
    const { read, update, post } = createFeedServices({ feeds, store, ledger: this.ledger, clock: this.clock });
    return { feeds, ...this.#reached({ feed: read, update, post }) };
  }

  /** One that serves a feed as it likes. */
  lying(feed: (stream: Duplex) => Promise<void>): Reached {
    return this.#reached({
      feed: (stream) => {
        stream.on('error', () => undefined);
        feed(stream).catch(() => stream.destroy());
      },
    });
  }

  /** A gateway that tries these in their order. */
  source(hosts: readonly Reached[], options: Partial<FeedSourceOptions> = {}): FeedSource {
    const source = createFeedSource({
      route: async (_site, { avoid }) => {
        const found = hosts.find(({ id, route }) => !avoid.has(id) && route.isOpen);
        if (found === undefined) throw new RelaymintError('NO_ROUTE', 'No other host keeps it.');
        return await Promise.resolve(found.route);
      },
      record: (name) => this.ledger.name(name),
      clock: this.clock,
      retry: { first: 5, last: 5 },
      lingerMillis: 0,
      ...options,
    });
    this.cleanup.add(() => source[Symbol.asyncDispose]());
    return source;
  }

  #reached(services: Readonly<Record<string, ServiceHandler>>): Reached {
    const id = nodeId(randomBytes(32));
    const shares: (readonly NameShare[])[] = [];
    const opened: Opened[] = [];
    const route: ContentRoute & { isOpen: boolean } = {
      host: id,
      isOpen: true,
      openStream: async (service, params) => {
        const [near, far] = await socketPair(this.cleanup);
        opened.push({ near, far });
        const attribute = (some: readonly NameShare[]): void => void shares.push(some);
        services[service]?.(Object.assign(far, { attribute }), params);
        return near;
      },
    };
    return { id, route, shares, opened };
  }
}

interface Opened {
  readonly near: Duplex;
  readonly far: Duplex;
}

export interface Reached {
  readonly id: NodeId;
  /** `isOpen` false: it is gone. */
  readonly route: ContentRoute & { isOpen: boolean };
  /** For whom what it sent counts, page by page. */
  readonly shares: readonly (readonly NameShare[])[];
  readonly opened: readonly Opened[];
}

export interface FeedHost extends Reached {
  readonly feeds: FeedStore;
}

export async function writerTo({ route }: Reached, service = 'update'): Promise<EntryWriter> {
  return new EntryWriter(await route.openStream(service, encodeWriteParams()));
}

export async function readerOf({ route }: Reached, name: string = NAME): Promise<FeedReader> {
  return new FeedReader(await route.openStream('feed', encodeContentParams({ name })));
}

/** Brings them over one stream. */
export async function bring(host: Reached, ...entries: readonly SignedEntry[]): Promise<void> {
  using writer = await writerTo(host);
  for (const entry of entries) await writer.bring(entry, { signal });
}

/** The numbers of what a view shows. */
export function numbers(view: FeedView): readonly number[] {
  return view.entries().map(({ entry }) => entry.sequence);
}

/** Resolves once the view shows what is wanted. */
export async function until(view: FeedView, isThere: () => boolean): Promise<void> {
  if (isThere()) return;
  await new Promise<void>((resolve) => {
    const changes = view.onChange(() => {
      if (!isThere()) return;
      changes[Symbol.dispose]();
      resolve();
    });
  });
}
