/** The way of entries to the hosts that keep a name: a stream to each, kept while it is open. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { assertNotAborted, deadline } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_REPLICAS } from '../../core/limits.ts';
import { POST_SERVICE, PUBLISH_SERVICE, UPDATE_SERVICE } from '../../sites/blocks/index.ts';
import { EntryWriter, encodeWriteParams, type SignedEntry } from '../../sites/feed/index.ts';
import type { Circuit } from '../../node/circuit/index.ts';
import type { CircuitPool } from '../../node/tunnel/index.ts';
import type { RunningNode } from '../node/index.ts';
import { awaitHosts } from './awaited-hosts.ts';
import { poolTo } from './host-circuit.ts';
import { isLeaving, keepersOf } from './keepers.ts';
import type { SiteUsage } from './site-usage.ts';

export interface EntryLinesSettings {
  /** The name that is said in. */
  readonly name: string;
  /** The name that says it. */
  readonly author: string;
  /** Hosts to bring it to; none: those that say they keep the name. */
  readonly hosts: readonly NodeId[];
  /** Of those, at most so many. Default: MAX_REPLICAS. */
  readonly most?: number | undefined;
  /** Paid relays between us and each host. */
  readonly relays: number;
  /** Takes what it costs out of the budget of the site `name`. Absent: of none. */
  readonly usage?: SiteUsage | undefined;
  readonly signal: AbortSignal;
}

/** How long a host may take until it keeps an entry, and a circuit to it to be there, and how long it is then passed over, milliseconds. */
const TAKES_MILLIS = 15_000;
const OPENS_MILLIS = 60_000;
const REST_MILLIS = 60_000;
const SAYING = 'Bringing what is said';

/** Dispose it. */
export class EntryLines implements AsyncDisposable {
  readonly #node: RunningNode;
  readonly #settings: EntryLinesSettings;
  readonly #lines = new Map<NodeId, EntryLine>();
  /** Hosts that took too long, `performance.now()`. */
  readonly #restsUntil = new Map<NodeId, number>();

  constructor(node: RunningNode, settings: EntryLinesSettings) {
    this.#node = node;
    this.#settings = settings;
  }

  /**
   * Resolves with the hosts that keep it, at least one; those that fail are warned of.
   * @throws RelaymintError NO_ROUTE (no host is known to keep the name), ENTRY_STALE, ENTRY_INVALID, CONTENT_REFUSED, LIMIT_EXCEEDED,
   * BUDGET_EXHAUSTED, ABORTED.
   */
  async bring(signed: SignedEntry): Promise<readonly NodeId[]> {
    const { signal } = this.#settings;
    const all = await this.#hosts();
    const awake = all.filter((host) => (this.#restsUntil.get(host) ?? 0) <= performance.now());
    const outcomes = await Promise.all((awake.length > 0 ? awake : all).map((host) => this.#bring(host, signed)));
    assertNotAborted(signal, SAYING);
    const hosts = outcomes.filter(({ error }) => error === undefined).map(({ host }) => host);
    const failure = outcomes.find(({ error }) => error !== undefined)?.error;
    if (hosts.length === 0 && failure !== undefined) throw failure;
    return hosts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#lines.values()].map((line) => line[Symbol.asyncDispose]()));
  }

  async #bring(host: NodeId, signed: SignedEntry): Promise<{ readonly host: NodeId; readonly error?: RelaymintError }> {
    const { signal, relays, name, usage } = this.#settings;
    const { author } = signed.entry;
    const line =
      this.#lines.get(host) ?? new EntryLine(this.#node, host, { relays, isOwners: author === name, usage, name });
    this.#lines.set(host, line);
    try {
      await line.bring(signed, signal);
      return { host };
    } catch (error) {
      // Others are not to wait for it each time.
      if (isRelaymintError(error, 'TIMEOUT')) this.#restsUntil.set(host, performance.now() + REST_MILLIS);
      if (!isRelaymintError(error)) throw error;
      if (!signal.aborted) this.#node.settings.log.warn({ host, err: error }, 'a host did not take what was said');
      return { host, error };
    }
  }

  async #hosts(): Promise<readonly NodeId[]> {
    const { hosts, most = MAX_REPLICAS, name, signal } = this.#settings;
    if (hosts.length > 0) return hosts;
    const { book } = this.#node.discovery;
    const takers = (): NodeId[] => keepersOf(book, name).filter((host) => !isLeaving(book, host));
    await awaitHosts(this.#node.discovery, () => takers().length > 0)(signal);
    const found = takers().slice(0, most);
    if (found.length > 0) return found;
    throw new RelaymintError('NO_ROUTE', `No known host says that it keeps ${name}.`, {
      remedy: `Publish it first ("relaymint site publish"), or give --bootstrap with the address of a node that knows a host of it.`,
    });
  }
}

/** What a host says of one entry says nothing of the next. */
const SAID_OF_ONE = ['ENTRY_STALE', 'ENTRY_INVALID', 'CONTENT_REFUSED', 'LIMIT_EXCEEDED', 'STORAGE_FULL'] as const;

interface LineSettings extends Pick<EntryLinesSettings, 'relays' | 'usage' | 'name'> {
  /** The owner of the name itself says it. */
  readonly isOwners: boolean;
}

interface Line {
  readonly writer: EntryWriter;
  readonly circuit: Circuit;
}

/** A stream to one host, opened when it is first needed and again once it broke. */
class EntryLine implements AsyncDisposable {
  readonly #pool: CircuitPool;
  readonly #relays: number;
  readonly #service: string;
  readonly #usage: SiteUsage | undefined;
  readonly #payer: string;
  #line: Line | undefined;

  constructor(node: RunningNode, host: NodeId, { relays, isOwners, usage, name }: LineSettings) {
    this.#relays = relays;
    this.#usage = usage;
    this.#payer = name;
    this.#service = isOwners ? UPDATE_SERVICE : POST_SERVICE;
    this.#pool = poolTo(node, host, isOwners ? PUBLISH_SERVICE : POST_SERVICE);
  }

  async bring(signed: SignedEntry, signal: AbortSignal): Promise<void> {
    // A host ends a stream on which nothing came for a while, and what it took it takes again.
    const isOld = this.#line !== undefined;
    try {
      await this.#bring(signed, signal);
    } catch (error) {
      if (!isOld || signal.aborted || isRelaymintError(error, 'TIMEOUT', ...SAID_OF_ONE)) throw error;
      await this.#bring(signed, signal);
    }
  }

  async #bring(signed: SignedEntry, signal: AbortSignal): Promise<void> {
    const { writer, circuit } = (this.#line ??= await this.#open(signal));
    const [name, prices] = [this.#payer, this.#pool.pricesOf(circuit)];
    const paid = prices && (await this.#usage?.begin({ payer: name, name, prices }, circuit));
    using limit = deadline(TAKES_MILLIS, SAYING, signal);
    try {
      await writer.bring(signed, limit);
    } catch (error) {
      if (!isRelaymintError(error, ...SAID_OF_ONE)) {
        writer[Symbol.dispose]();
        this.#line = undefined;
      }
      throw error;
    } finally {
      paid?.();
    }
  }

  async #open(ends: AbortSignal): Promise<Line> {
    using limit = deadline(OPENS_MILLIS, SAYING, ends);
    const { signal } = limit;
    await this.#pool.buildTunnels(this.#relays, { signal });
    const circuit = await this.#pool.circuit({ signal });
    const writer = new EntryWriter(await circuit.openStream(this.#service, encodeWriteParams(), { signal }));
    return { writer, circuit };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using stack = new AsyncDisposableStack();
    stack.defer(() => this.#pool.close());
    this.#line?.writer[Symbol.dispose]();
  }
}
