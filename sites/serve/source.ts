/** The gateway's content: streams to hosts, pooled per site; if one host fails to deliver, another one is asked. */
import { setMaxListeners } from 'node:events';
import { LRUCache } from 'lru-cache';
import type { CID } from 'multiformats/cid';
import { assertNotAborted, orAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import {
  FIRST_ANSWER_MILLIS,
  MAX_IDLE_CONTENT_STREAMS,
  MAX_SITE_POOLS,
  MAX_VISIT_HOSTS,
  STATEMENT_LAST_MILLIS,
  VISIT_MILLIS,
} from '../../core/limits.ts';
import { silentLog, systemClock, type Clock, type Log } from '../../core/ports.ts';
import { createMemoryCache, type BlockCache } from '../cache/index.ts';
import { createContentClient, type ContentClient } from './client.ts';
import { holdsFileBytes, isDirectoryCodec } from '../blocks/index.ts';
import { CONTENT_SERVICE, type ContentSource, type OpenStream, type SiteContent } from '../blocks/contract.ts';
import { Limit, SharedSearch } from './patience.ts';
import { encodeContentParams } from './protocol.ts';
import type { HostTerms, Statements } from './stated.ts';
import type { SignedStatement } from '../statement/index.ts';

/** One way to one host, as the composition root makes it: a circuit. */
export interface ContentRoute {
  readonly host: NodeId;
  /** False once its circuit is gone: a new route is asked for. */
  readonly isOpen: boolean;
  readonly openStream: OpenStream;
  /**
   * Asked before each block; resolves with what to call when the block came, or did not. A route on which a site costs
   * something takes it out of that site's budget here. @throws RelaymintError BUDGET_EXHAUSTED, BUDGET_STOPPED: the visitor is told.
   */
  readonly begin?: () => Promise<() => void>;
  /** What the host has to state of itself, as its offer says. Absent: it is not asked for statements. */
  readonly terms?: HostTerms;
}

export interface Site {
  readonly name: string;
  readonly root: CID;
  /** The name whose page embeds it. Absent: the visitor went there. */
  readonly referrer?: string | undefined;
}

export interface ContentSourceOptions {
  /**
   * A circuit to some host of the site, other than those in `avoid`. Asked again when a route dies. The signal ends when the last
   * visitor who waits for it has left or waited too long. @throws RelaymintError NO_ROUTE, ABORTED.
   */
  route(
    site: Site,
    options: { readonly avoid: ReadonlySet<NodeId>; readonly signal: AbortSignal },
  ): Promise<ContentRoute>;
  /** A host delivered something else than requested, or nothing. It is avoided for this site until another one delivers. */
  readonly onBadHost?: (host: NodeId, error: RelaymintError, name: string) => void;
  /** What the name points to now: a host that lacks content which was replaced is not at fault. Absent: it always is. */
  readonly rootOf?: (name: string) => Promise<CID>;
  /** A host delivered a block of this name. */
  readonly onGoodHost?: (host: NodeId, name: string) => void;
  /** Whether what was fetched of a site's files is shown to whoever asks next. Absent: of every site, if the cache keeps files at all. */
  readonly shares?: (site: Site) => boolean;
  /** So many bytes of a site came from the cache, and cost nothing. */
  readonly onCached?: (site: Site, bytes: number) => void;
  /** How long a host may take for a block, milliseconds. */
  readonly waitMillis?: number;
  /** How long it may take to open a stream, and for the first answer on it, milliseconds. Default FIRST_ANSWER_MILLIS. */
  readonly firstAnswerMillis?: number;
  /** How long a visitor waits without getting a block, whatever is tried meanwhile, milliseconds. Default VISIT_MILLIS. */
  readonly visitMillis?: number;
  /** A host stated what it delivered, and it is what came. Absent: hosts are not asked. */
  readonly onStated?: (statement: SignedStatement) => void;
  readonly clock?: Clock;
  /** What was fetched before. Default: the blocks of folders, in memory. */
  readonly cache?: BlockCache;
  readonly log?: Log;
}

/** What one host did, as opposed to the way to it. */
const HOST_FAULTS = [
  'CONTENT_CORRUPT',
  'CONTENT_NOT_FOUND',
  'CONTENT_REFUSED',
  'LIMIT_EXCEEDED',
  'PROTOCOL_VIOLATION',
  'STREAM_REFUSED',
  'TIMEOUT',
] as const;

const OPENING = 'Opening a site';
const FETCHING = 'Fetching a block';

/** See ContentSource. `close` drops all streams. */
export function createContentSource(options: ContentSourceOptions): ContentSource & { close(): Promise<void> } {
  return new PooledSource(options);
}

class PooledSource implements ContentSource {
  readonly #options: ContentSourceOptions;
  readonly #log: Log;
  readonly #pools: LRUCache<string, Pool>;
  readonly #cache: BlockCache;
  readonly #closing = new AbortController();

  constructor(options: ContentSourceOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#cache = options.cache ?? createMemoryCache({ leaves: false });
    // One listener for each search that is under way.
    setMaxListeners(0, this.#closing.signal);
    this.#pools = new LRUCache({ max: MAX_SITE_POOLS, dispose: (pool) => void pool.close() });
  }

  async open(site: Site, { signal }: { readonly signal: AbortSignal }): Promise<SiteContent> {
    assertNotAborted(this.#closing.signal, OPENING);
    assertNotAborted(signal, OPENING);
    const key = viewOf(site);
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = new Pool(site.name, this.#options, this.#closing.signal, this.#log);
      this.#pools.set(key, pool);
    }
    const isShared = this.#options.shares?.(site) ?? true;
    return await Promise.resolve(new PooledContent(pool, site, { cache: this.#cache, isShared, signal }));
  }

  async close(): Promise<void> {
    this.#closing.abort(new RelaymintError('CLOSED', 'The gateway is stopping.', { remedy: 'Try again in a moment.' }));
    const closed = Promise.all(Array.from(this.#pools.values(), (pool) => pool.close()));
    this.#pools.clear();
    await closed;
  }
}

interface Lease {
  readonly client: ContentClient;
  readonly route: ContentRoute;
}

/** The route to one site's host, and the streams on it that nobody uses at the moment. */
class Pool {
  readonly #name: string;
  readonly #options: ContentSourceOptions;
  readonly #closing: AbortSignal;
  readonly #log: Log;
  readonly #avoid = new Set<NodeId>();
  /** Blocks on their way that will be kept: visitors who come at once for the same page share one fetch of it. */
  readonly fetching: Map<string, Promise<Uint8Array>> = new Map();
  #idle: Lease[] = [];
  #route: SharedSearch<ContentRoute> | undefined;

  constructor(name: string, options: ContentSourceOptions, closing: AbortSignal, log: Log) {
    this.#name = name;
    this.#options = options;
    this.#closing = closing;
    this.#log = log;
  }

  get isClosing(): boolean {
    return this.#closing.aborted;
  }

  get visitMillis(): number {
    return this.#options.visitMillis ?? VISIT_MILLIS;
  }

  /** `without`: hosts that are good for others, and do not have what this visitor wants. */
  async lease(site: Site, without: ReadonlySet<NodeId>, signal: AbortSignal): Promise<Lease> {
    const lease = this.#takeIdle(without);
    if (lease !== undefined) return lease;
    const route = await this.#routeFor(site, without, signal);
    const { waitMillis, firstAnswerMillis = FIRST_ANSWER_MILLIS } = this.#options;
    using limit = new Limit(signal);
    limit.restart(firstAnswerMillis, () => unanswered(firstAnswerMillis));
    try {
      const stream = await route.openStream(CONTENT_SERVICE, encodeContentParams(site), { signal: limit.signal });
      const waits = { firstAnswerMillis, ...(waitMillis === undefined ? {} : { waitMillis }) };
      const statements = this.#statementsOf(route, site);
      return { client: createContentClient(stream, { ...waits, ...(statements && { statements }) }), route };
    } catch (error) {
      const failure = limit.expired ?? error;
      if (!signal.aborted && isRelaymintError(failure, 'STREAM_REFUSED', 'TIMEOUT')) this.#blame(route, failure);
      throw failure;
    }
  }

  #statementsOf(route: ContentRoute, { name, referrer }: Site): Statements | undefined {
    const { onStated, clock = systemClock } = this.#options;
    if (onStated === undefined || route.terms === undefined) return undefined;
    return { ...route.terms, name, referrer, clock, onStated, onFault: (error) => this.#misstated(route, error) };
  }

  /**
   * A host that states nothing, or too little, is one that may declare too little: others are preferred from now on. Who reads is not held up:
   * what is under way goes on, and where there is no other host it is asked again.
   */
  #misstated(route: ContentRoute, error: RelaymintError): void {
    const { host } = route;
    const left = isRelaymintError(error, 'STREAM_RESET') && route.isOpen;
    if (this.#closing.aborted || !(left || isRelaymintError(error, ...HOST_FAULTS))) return;
    this.#log.warn({ host, name: this.#name, err: error }, 'A content host did not state what it delivered.');
    this.#options.onBadHost?.(host, error, this.#name);
    if (this.#route?.result?.host === host) this.#route = undefined;
    for (const lease of this.#idle.splice(0)) {
      if (lease.route.host === host) lease.client.close();
      else this.#idle.push(lease);
    }
  }

  #takeIdle(without: ReadonlySet<NodeId>): Lease | undefined {
    const others: Lease[] = [];
    try {
      for (let lease = this.#idle.pop(); lease !== undefined; lease = this.#idle.pop()) {
        const { client, route } = lease;
        if (!client.isOpen || !route.isOpen || this.#avoid.has(route.host)) client.close();
        else if (without.has(route.host)) others.push(lease);
        else return lease;
      }
      return undefined;
    } finally {
      this.#idle.push(...others);
    }
  }

  async #routeFor(site: Site, without: ReadonlySet<NodeId>, signal: AbortSignal): Promise<ContentRoute> {
    // What nobody else lacks is not searched for together with others.
    if (without.size > 0) {
      return await this.#options.route(site, { avoid: new Set([...this.#avoid, ...without]), signal });
    }
    return await this.#current(site, signal);
  }

  /** Whether the name points to something else by now. */
  async isReplaced({ name, root }: Site, signal: AbortSignal): Promise<boolean> {
    try {
      const now = await orAborted(this.#options.rootOf?.(name) ?? Promise.resolve(root), signal, 'Looking up a name');
      return !now.equals(root);
    } catch {
      // A ledger that does not answer proves nothing.
      return false;
    }
  }

  /** Takes a stream back when nothing is on its way on it. */
  giveBack(lease: Lease): void {
    const reusable = lease.client.isOpen && lease.client.pending === 0 && !this.#closing.aborted;
    if (reusable && this.#idle.length < MAX_IDLE_CONTENT_STREAMS) {
      this.#idle.push(lease);
      lease.client.rest();
    } else if (lease.client.pending === 0) void finish(lease);
    else lease.client.close();
  }

  /** A stream or its opening failed: find another way. A host's own fault makes it avoided. */
  failed(lease: Lease | undefined, error: RelaymintError): void {
    lease?.client.close();
    if (lease === undefined) {
      // A search that others wait for goes on.
      if (this.#route?.result !== undefined) this.#route = undefined;
      return;
    }
    // A host that reads the name and ends the stream was asked and did not answer.
    const left = isRelaymintError(error, 'STREAM_RESET') && !lease.client.answered && lease.route.isOpen;
    if (left || isRelaymintError(error, ...HOST_FAULTS)) this.#blame(lease.route, error);
    else if (!lease.route.isOpen) this.#route = undefined;
  }

  /** The router asks hosts that failed for this visitor last for a while: they need not be avoided for ever. */
  delivered({ route }: Lease): void {
    this.#avoid.clear();
    this.#options.onGoodHost?.(route.host, this.#name);
  }

  cached(site: Site, bytes: number): void {
    this.#options.onCached?.(site, bytes);
  }

  #blame({ host }: ContentRoute, error: RelaymintError): void {
    this.#log.warn({ host, name: this.#name, err: error }, 'A content host failed.');
    this.#avoid.add(host);
    this.#options.onBadHost?.(host, error, this.#name);
    // Another visitor may have found a better one meanwhile.
    if (this.#route?.result?.host === host) this.#route = undefined;
  }

  /** What a visitor reads is older than what any host has. */
  outlived({ name, root }: Site): void {
    this.#log.info(
      { name, root: root.toString() },
      'A visit ended: no host has this earlier content of the name any more.',
    );
  }

  /** Resolves when its hosts have stated what they delivered, or will not. */
  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map(finish));
  }

  /** One search at a time, shared by all who wait; it ends when nobody waits any more. */
  async #current(site: Site, signal: AbortSignal): Promise<ContentRoute> {
    for (let attempt = 1; attempt <= MAX_VISIT_HOSTS; attempt += 1) {
      if (this.#route?.isAbandoned === true) this.#route = undefined;
      const search = (this.#route ??= this.#search(site));
      const route = await search.wait(signal);
      if (route.isOpen) return route;
      if (this.#route === search) this.#route = undefined;
    }
    throw new RelaymintError('NO_ROUTE', `All circuits to hosts of ${site.name} broke at once.`, {
      remedy: 'Try again in a moment.',
    });
  }

  #search(site: Site): SharedSearch<ContentRoute> {
    const search: SharedSearch<ContentRoute> = new SharedSearch(async (signal) => {
      try {
        return await this.#options.route(site, { avoid: this.#avoid, signal });
      } catch (error) {
        if (this.#route === search) this.#route = undefined;
        // Every host has failed once. The next visitor may find one repaired.
        this.#avoid.clear();
        throw error;
      }
    }, this.#closing);
    return search;
  }
}

interface ContentParts {
  readonly cache: BlockCache;
  /** What was fetched of files is shown to whoever asks next; else only what leads to them. */
  readonly isShared: boolean;
  readonly signal: AbortSignal;
}

class PooledContent implements SiteContent {
  readonly #pool: Pool;
  readonly #site: Site;
  readonly #cache: BlockCache;
  readonly #isShared: boolean;
  /** Ends when the visitor leaves, or nothing came for too long. */
  readonly #patience: Limit;
  /** Blocks that are waited for. */
  #waiting = 0;
  /** The last that a host did, or the way to it. */
  #lastFailure: RelaymintError | undefined;
  #lease: Promise<Lease> | undefined;
  /** Hosts that no longer have what this visitor began to read, because the name points to something else. */
  readonly #without = new Set<NodeId>();
  #isOutlived = false;
  #closed = false;

  constructor(pool: Pool, site: Site, { cache, isShared, signal }: ContentParts) {
    this.#pool = pool;
    this.#site = site;
    this.#cache = cache;
    this.#isShared = isShared;
    this.#patience = new Limit(signal);
  }

  async get(cid: CID, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
    using both = signal === undefined ? undefined : new Limit(this.#patience.signal, signal);
    const ends = both?.signal ?? this.#patience.signal;
    this.#waiting += 1;
    if (this.#waiting === 1) this.#waitOn();
    try {
      const block = this.#keeps(cid) ? await this.#shared(cid, ends) : await this.#fetch(cid, ends);
      this.#waitOn();
      return block;
    } catch (error) {
      throw this.#patience.expired ?? error;
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#patience.stop();
    }
  }

  #keeps(cid: CID): boolean {
    return this.#cache.keeps(cid) && (this.#isShared || isDirectoryCodec(cid));
  }

  /** Whether somebody else may see it without paying. */
  #isFree(cid: CID, block: Uint8Array): boolean {
    return this.#isShared || !holdsFileBytes(cid, block);
  }

  /** From now on the visitor waits for the next block. */
  #waitOn(): void {
    const { visitMillis } = this.#pool;
    this.#patience.restart(visitMillis, () => tooLong(this.#site, visitMillis, this.#lastFailure));
  }

  /** From the cache, from a fetch that is under way, or from a new fetch that all who wait share. */
  async #shared(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    const key = cid.toString();
    const { fetching } = this.#pool;
    let isOwed = false;
    for (;;) {
      const cached = await this.#cache.get(viewOf(this.#site), cid);
      if (cached !== undefined && this.#isFree(cid, cached)) {
        this.#pool.cached(this.#site, cached.length);
        return cached;
      }
      const other = fetching.get(key);
      if (other === undefined) break;
      if (isOwed) return await this.#fetch(cid, signal);
      const failure = await failureOf(other, signal);
      // The hosts would do to this visitor what they did to the other one; that the other left does not matter here.
      if (isRelaymintError(failure) && !isRelaymintError(failure, 'ABORTED', 'CLOSED')) throw failure;
      // What came for the other one is not shown to this visitor: nobody waits for a turn at it.
      isOwed = failure === undefined && !this.#isShared;
    }
    const mine = this.#fetch(cid, signal)
      .then((block) => {
        if (this.#isFree(cid, block)) this.#cache.put(viewOf(this.#site), cid, block);
        return block;
      })
      .finally(() => fetching.delete(key));
    fetching.set(key, mine);
    return await mine;
  }

  close(): void {
    this.#closed = true;
    this.#patience[Symbol.dispose]();
    const lease = this.#lease;
    this.#lease = undefined;
    lease?.then(
      // A host that has what was replaced may have nothing else: others do not begin with it.
      (held) => (this.#without.size > 0 ? held.client.close() : this.#pool.giveBack(held)),
      () => undefined,
    );
  }

  async #fetch(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    let first: RelaymintError | undefined;
    for (let attempt = 1; ; attempt += 1) {
      assertNotAborted(signal, FETCHING);
      const leasing = this.#current();
      let lease: Lease | undefined;
      try {
        lease = await leasing;
        const block = await getPaid(lease, cid, signal);
        this.#pool.delivered(lease);
        return block;
      } catch (error) {
        if (signal.aborted || this.#closed || !isRelaymintError(error)) throw error;
        if (error.code !== 'CLOSED') this.#lastFailure = error;
        // Neither the host nor the way to it is to blame.
        if (isRelaymintError(error, 'BUDGET_EXHAUSTED', 'BUDGET_STOPPED')) throw error;
        const outdated = lease !== undefined && (await this.#lacksReplaced(lease, error, signal));
        // Of several blocks that failed together the first one reports it.
        if (this.#lease === leasing) {
          this.#lease = undefined;
          if (lease !== undefined && outdated) this.#pool.giveBack(lease);
          else if (lease !== undefined || this.#without.size === 0) this.#pool.failed(lease, error);
        }
        // If no other host is left, the first failure says more than that. CLOSED is only the stream that
        // another block's failure closed.
        if (first === undefined || first.code === 'CLOSED') first = error;
        const hopeless = isRelaymintError(error, 'NO_ROUTE') || this.#pool.isClosing;
        if (attempt >= MAX_VISIT_HOSTS || hopeless) throw this.#ended(first);
      }
    }
  }

  /** It does not have a block of content that the name no longer points to: it is good for everybody else. */
  async #lacksReplaced({ route }: Lease, error: RelaymintError, signal: AbortSignal): Promise<boolean> {
    if (!isRelaymintError(error, 'CONTENT_NOT_FOUND')) return false;
    if (!(await this.#pool.isReplaced(this.#site, signal))) return false;
    this.#without.add(route.host);
    return true;
  }

  #ended(error: RelaymintError): RelaymintError {
    if (this.#without.size === 0) return tell(error, this.#site);
    // Blocks that were asked for together end together.
    if (!this.#isOutlived) this.#pool.outlived(this.#site);
    this.#isOutlived = true;
    return new RelaymintError(
      'CONTENT_NOT_FOUND',
      `${this.#site.name} was published anew, and no host has the earlier content any more.`,
      { remedy: 'Ask again: the new content is there.', cause: error },
    );
  }

  #current(): Promise<Lease> {
    if (this.#closed) {
      throw new RelaymintError('CLOSED', 'This request is over.', { remedy: 'Ask again.' });
    }
    this.#lease ??= this.#pool.lease(this.#site, this.#without, this.#patience.signal);
    return this.#lease;
  }
}

/** Ends a stream that nobody reads from any more, once its host has stated what it delivered. A host that is slow about it is not waited for. */
async function finish({ client }: Lease): Promise<void> {
  const slow = setTimeout(() => client.close(), STATEMENT_LAST_MILLIS);
  await client.state();
  clearTimeout(slow);
  client.close();
}

/**
 * Streams, and what was fetched, are those of one embedding site: it is paid for what its own visitors see, and how fast something comes
 * tells it nothing of what they have seen elsewhere.
 */
function viewOf({ name, referrer }: Site): string {
  return referrer === undefined ? name : `${name} in ${referrer}`;
}

async function getPaid({ client, route }: Lease, cid: CID, signal: AbortSignal): Promise<Uint8Array> {
  const done = await route.begin?.();
  try {
    return await client.get(cid, { signal });
  } finally {
    done?.();
  }
}

function tell(error: RelaymintError, site: Site): RelaymintError {
  // A host's block that is too long is no limit of ours that the visitor has met.
  if (!isRelaymintError(error, 'CONTENT_NOT_FOUND', 'CONTENT_REFUSED', 'LIMIT_EXCEEDED')) return error;
  return new RelaymintError('CONTENT_NOT_FOUND', `No host delivers ${site.name}: ${messageOf(error)}`, {
    cause: error,
  });
}

function unanswered(millis: number): RelaymintError {
  return new RelaymintError('TIMEOUT', `The host did not accept a stream within ${millis / 1000} seconds.`, {
    remedy: 'Another host is tried.',
  });
}

function tooLong({ name }: Site, millis: number, last: RelaymintError | undefined): RelaymintError {
  const why = last === undefined ? '' : ` The last one: ${last.message}`;
  return new RelaymintError('TIMEOUT', `No host of ${name} delivered anything within ${millis / 1000} seconds.${why}`, {
    remedy: 'Try again in a minute. Circuits that are being built are kept, and hosts that failed are asked last.',
    ...(last === undefined ? {} : { cause: last }),
  });
}

/** Waits for what someone else does. @returns why it failed; undefined when it did not. @throws RelaymintError ABORTED. */
async function failureOf(work: Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  const over = work.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  return await orAborted(over, signal, FETCHING);
}
