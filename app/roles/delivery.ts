/** Brings content to hosts, over paid circuits: to one after the other, until enough of them have it. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { PUBLISH_SERVICE, type BlockStore } from '../../sites/blocks/index.ts';
import { publishSite, type PublishProgress } from '../../sites/publish/index.ts';
import { sellersOf } from '../../node/tunnel/index.ts';
import { keepsName } from '../../node/offer/index.ts';
import type { OfferBook } from '../../node/discovery/index.ts';
import { poolTo } from './host-circuit.ts';
import { awaitHosts } from './awaited-hosts.ts';
import { assertRoom, isTooSmall } from './keepers.ts';
import { signerOf, type RunningNode } from '../node/index.ts';

/** Where a site goes, and what is said meanwhile. */
export interface DeliverySettings {
  readonly name: string;
  /** The hosts to bring it to, in that order; none: those that say they keep the name, then others, cheaper ones earlier more often. */
  readonly hosts: readonly NodeId[];
  /** How many of them are to have it, 1 .. MAX_REPLICAS. Fewer will do, with a warning; none will not. */
  readonly replicas: number;
  /** Paid relays between us and the host. */
  readonly relays: number;
  readonly signal: AbortSignal;
  /** `replica` counts the hosts from 1. */
  readonly onUpload: (progress: PublishProgress, totalBytes: number, replica: number) => void;
}

/** What hosts are to have. */
export interface Content {
  readonly store: BlockStore;
  readonly root: CID;
  readonly manifest: CID | undefined;
  readonly totalBytes: number;
  /** Brings into the store what was damaged in it, as far as that is possible. */
  readonly mend: () => Promise<void>;
}

const UNFINISHED = 'Do it again: it goes on where it stopped.';

/**
 * To one host after the other, until enough have it: each is paid, and takes only what it lacks. One that fails is passed over for the
 * next; if all who are known are gone, others are waited for. @returns those that have it all, at least one, and what was sent to all.
 * @throws RelaymintError NO_ROUTE (no host is known), ABORTED, or why the last host did not take it.
 */
export async function uploadToAll(
  node: RunningNode,
  settings: DeliverySettings,
  content: Content,
): Promise<{ readonly hosts: NodeId[]; readonly sentBlocks: number; readonly sentBytes: number }> {
  const queue = new HostQueue(node, settings, content.totalBytes);
  const done: NodeId[] = [];
  const sent = { sentBlocks: 0, sentBytes: 0 };
  let failure: unknown = new RelaymintError('NO_ROUTE', 'No known host takes content.', {
    remedy: 'Give --bootstrap with the address of a node that knows one.',
  });
  while (done.length < settings.replicas) {
    const host = await queue.next();
    if (host === undefined) break;
    const to = { host, replica: done.length + 1, onReached: (): void => queue.reached() };
    try {
      const { sentBlocks, sentBytes } = await upload(node, settings, content, to).catch(async (error: unknown) => {
        if (!isRelaymintError(error, 'CONTENT_NOT_FOUND')) throw error;
        // Damage was found, here or at the host. Now both look closer, and what the host lacks is sent.
        await content.mend();
        return await upload(node, settings, content, to);
      });
      sent.sentBlocks += sentBlocks;
      sent.sentBytes += sentBytes;
      done.push(host);
      queue.took(host);
    } catch (error) {
      assertNotAborted(settings.signal, 'Publishing', UNFINISHED);
      failure = error;
      node.settings.log.warn({ host, err: error }, 'a host did not take the content');
    }
  }
  if (done.length === 0) throw failure;
  return { hosts: done, ...sent };
}

/** How often one host is asked: once more when it has come back. */
const MAX_TIMES = 2;

/** Who is asked next: all who are known, and then those that are heard of meanwhile. */
class HostQueue {
  /** How often each was asked, and the sequence of its offer at that time: one that has come back has a newer one. */
  readonly #asked = new Map<NodeId, { readonly times: number; readonly sequence: bigint | undefined }>();
  readonly #done = new Set<NodeId>();
  readonly #someone: (signal: AbortSignal) => Promise<void>;
  readonly #node: RunningNode;
  readonly #settings: DeliverySettings;
  readonly #size: number;
  #isReached = false;
  #isLast = false;

  constructor(node: RunningNode, settings: DeliverySettings, size: number) {
    this.#node = node;
    this.#settings = settings;
    this.#size = size;
    const { hosts, name } = settings;
    const { book } = node.discovery;
    const areKnown = (): boolean =>
      hosts.length > 0
        ? hosts.every((host) => book.get(host) !== undefined)
        : hostsFor(book, name).some((host) => this.#isNew(host));
    this.#someone = awaitHosts(node.discovery, areKnown);
  }

  /** A host answers, even if it takes nothing: whoever is there has been asked, and nobody needs to be waited for. */
  reached(): void {
    this.#isReached = true;
  }

  /** It has the content. */
  took(host: NodeId): void {
    this.#done.add(host);
  }

  /** @throws RelaymintError STORAGE_FULL (all who are known say that they have no room), ABORTED. */
  async next(): Promise<NodeId | undefined> {
    const { book } = this.#node.discovery;
    const { hosts, signal } = this.#settings;
    const isFirst = this.#asked.size === 0;
    if (isFirst) await this.#someone(signal);
    let next = this.#candidate();
    if (next === undefined && isFirst) assertRoom(book, this.#size);
    else if (next === undefined && hosts.length === 0 && !this.#isLast) {
      this.#isLast = true;
      // Nobody answers: a node that has only now been started may have heard of those alone that are gone.
      await (this.#isReached ? this.#node.discovery.refresh(signal) : this.#someone(signal));
      next = this.#candidate();
    }
    if (next === undefined) return undefined;
    const times = (this.#asked.get(next)?.times ?? 0) + 1;
    this.#asked.set(next, { times, sequence: book.get(next)?.sequence });
    return next;
  }

  #candidate(): NodeId | undefined {
    const { hosts, name } = this.#settings;
    if (hosts.length > 0) return hosts.find((host) => !this.#asked.has(host));
    return hostsFor(this.#node.discovery.book, name, this.#size).find((host) => this.#isNew(host));
  }

  #isNew(host: NodeId): boolean {
    if (this.#done.has(host)) return false;
    const asked = this.#asked.get(host);
    if (asked === undefined) return true;
    return asked.times < MAX_TIMES && asked.sequence !== this.#node.discovery.book.get(host)?.sequence;
  }
}

/** Who keeps an older state of the site comes first: visitors ask it already. Who says that it has no room for so many bytes is passed over. */
export function hostsFor(book: OfferBook, name: string, size: number = 0): NodeId[] {
  const keeps = (host: NodeId): boolean => {
    const offer = book.get(host);
    return offer !== undefined && keepsName(offer, name);
  };
  const sellers = sellersOf(book, PUBLISH_SERVICE).filter((host) => !isTooSmall(book, host, { name, size }));
  return [...sellers.filter(keeps), ...sellers.filter((host) => !keeps(host))];
}

async function upload(
  node: RunningNode,
  settings: DeliverySettings,
  { store, root, manifest, totalBytes }: Content,
  { host, replica, onReached }: { host: NodeId; replica: number; onReached: () => void },
): Promise<PublishProgress> {
  await using stack = new AsyncDisposableStack();
  const pool = stack.use(poolTo(node, host, PUBLISH_SERVICE));
  await pool.buildTunnels(settings.relays, { signal: settings.signal });
  const circuit = await pool.circuit({ signal: settings.signal });
  onReached();
  const signer = signerOf(node.keys.walletKey);
  stack.defer(() => signer.close());
  return await publishSite({
    openStream: (service, params, options) => circuit.openStream(service, params, options),
    host,
    store,
    name: settings.name,
    root,
    manifest,
    publisher: signer,
    signal: settings.signal,
    onProgress: (progress) => settings.onUpload(progress, totalBytes, replica),
  });
}
