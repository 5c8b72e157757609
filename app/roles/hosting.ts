/** A host: stores what publishers upload and serves it to everybody who pays. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../../core/errors.ts';
import { bytes, type BasisPoints, type Bytes, type PricePerMiB, type UnixMillis } from '../../core/units.ts';
import { freeSpace } from '../../platform/disk/free-space.ts';
import {
  CONTENT_SERVICE,
  FEED_SERVICE,
  POST_SERVICE,
  PUBLISH_SERVICE,
  UPDATE_SERVICE,
  openBlockStore,
  type BlockStore,
} from '../../sites/blocks/index.ts';
import { createFeedServices, openFeedStore, type FeedStore } from '../../sites/feed/index.ts';
import { createPinKeeper, createPublishService } from '../../sites/publish/index.ts';
import { createContentService } from '../../sites/serve/index.ts';
import { systemClock } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import { createStatementSigner } from '../../sites/statement/index.ts';
import { bindWallet, type RunningNode } from '../node/index.ts';
import { Draining } from './draining.ts';
import { offerInbox } from './inbox-service.ts';
import { KeptElsewhere } from './kept-elsewhere.ts';

export interface HostValues {
  /** Of content. */
  readonly price: PricePerMiB;
  /** Price of uploading content; low, because a host earns when it is visited. */
  readonly publishPrice: PricePerMiB;
  /** Price of posts in threads, per MiB: it keeps out what nobody would pay for. */
  readonly postPrice: PricePerMiB;
  readonly maxRoyalty: BasisPoints;
  /** Limit of bytes of blocks on disk; undefined: as much as the disk holds. */
  readonly quota: Bytes | undefined;
  readonly quotaPerName: Bytes | undefined;
  /** The only names to take; none: any wallet may bring a name that is its own or nobody's. */
  readonly accept: readonly string[];
  /** It takes no content and leaves, at that time at the latest. */
  readonly drain: UnixMillis | undefined;
  /** It takes statements for the names of its wallet. */
  readonly inbox: true | undefined;
}

export interface RunningHost extends AsyncDisposable {
  readonly store: BlockStore;
  /** Removes at once what no name points to any more, which else waits for the next minute. */
  sweep(): Promise<void>;
  /** Of a host that is to leave. */
  readonly draining: Draining | undefined;
}

/** Of its data folder. */
export const CONTENT_DIRECTORY = 'content';
const FEED_DIRECTORY = 'feeds';
/** How often content that no name points to any more is removed. */
const SWEEP_MILLIS = 60_000;

/** Opens the block store and offers `content` and `publish` on the node; announce the node afterwards. */
export async function openHost(node: RunningNode, settings: HostValues): Promise<RunningHost> {
  const { log, world } = node.settings;
  const clock = world?.clock ?? systemClock;
  assertAhead(settings.drain, clock.now());
  await using stack = new AsyncDisposableStack();
  const store = stack.use(
    await openBlockStore({
      directory: path.join(node.settings.dataDir, CONTENT_DIRECTORY),
      ...(settings.quota === undefined ? {} : { quota: settings.quota }),
      clock,
      log,
    }),
  );
  const folder = path.join(node.settings.dataDir, CONTENT_DIRECTORY);
  let free = await freeSpace(folder);
  const room = (): Bytes | undefined => roomOf(settings, store, free);
  const changed = node.keeping(() => newestNames(store), settings.drain === undefined ? room : undefined);
  const keeper = createPinKeeper({ store, ledger: node.ledger, clock, log });
  node.serve(
    CONTENT_SERVICE,
    settings.price,
    createContentService({
      store,
      onFetched: (pin) => keeper.fetched(pin),
      state: createStatementSigner({
        identity: node.keys.identity,
        wallet: node.wallet.address,
        walletBinding: bindWallet(node.keys),
        price: settings.price,
        clock,
      }),
      clock,
      log,
    }),
  );
  const feeds = stack.use(await openFeedStore(path.join(node.settings.dataDir, FEED_DIRECTORY), log));
  const services = createFeedServices({ feeds, store, ledger: node.ledger, clock, log });
  // Whoever reads or brings these has a circuit for content, or for publishing: the offer need not say so.
  node.circuits.register(FEED_SERVICE, { price: settings.price }, services.read);
  const draining =
    settings.drain === undefined
      ? undefined
      : new Draining({
          store,
          ledger: node.ledger,
          elsewhere: new KeptElsewhere({ node, clock }),
          until: settings.drain,
          clock,
          log,
        });
  // Its offer then says that it takes nothing: it does not sell it.
  if (draining === undefined) {
    node.serve(
      PUBLISH_SERVICE,
      settings.publishPrice,
      createPublishService({
        store,
        ledger: node.ledger,
        host: node.keys.identity.nodeId,
        accept: settings.accept.length === 0 ? { policy: 'open' } : { policy: 'names', names: settings.accept },
        ...(settings.quotaPerName === undefined ? {} : { quotaPerName: settings.quotaPerName }),
        onPinned: changed,
        log,
      }),
    );
    node.circuits.register(UPDATE_SERVICE, { price: settings.publishPrice }, services.update);
    node.serve(POST_SERVICE, settings.postPrice, services.post);
  }
  if (settings.inbox === true) await offerInbox(node);
  const ending = new AbortController();
  const sweepOnce = async (): Promise<void> => {
    await keeper.sweep();
    await forgetGone(feeds, store);
    free = await freeSpace(folder);
    changed();
    await draining?.look(ending.signal);
  };
  let sweeping: Promise<void> | undefined;
  /** Whoever asks during one shares it: nothing is asked, and paid for, twice. */
  const sweep = (): Promise<void> =>
    (sweeping ??= sweepOnce().finally(() => {
      sweeping = undefined;
    }));
  stack.use(repeat({ everyMillis: SWEEP_MILLIS, work: sweep, what: 'removing old content', log }));
  stack.defer(async () => {
    ending.abort();
    // It works on the store. Who waits for it hears what it threw.
    await sweeping?.catch(() => undefined);
  });
  const owned = stack.move();
  return { store, sweep, draining, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A host that left at once would take with it what only it keeps. @throws RelaymintError INVALID_CONFIG */
function assertAhead(drain: UnixMillis | undefined, now: number): void {
  if (drain === undefined || drain > now) return;
  const when = new Date(drain).toISOString();
  throw new RelaymintError('INVALID_CONFIG', `The host was to leave at ${when} at the latest, which is past.`, {
    remedy: 'Give --drain a later day, or start it without --drain to stay. What it keeps is still there.',
  });
}

/** What was said below names whose content is not kept any more. */
async function forgetGone(feeds: FeedStore, store: BlockStore): Promise<void> {
  for (const name of await feeds.names()) if (store.pins(name).length === 0) await feeds.forget(name);
}

/** How much one site may bring: what is least of the quota's rest, the quota of a name, and the disk. undefined: nobody knows. */
function roomOf({ quotaPerName }: HostValues, store: BlockStore, free: number | undefined): Bytes | undefined {
  const { quota, bytes: used } = store.stats();
  const limits = [free, quotaPerName, quota === undefined ? undefined : Math.max(0, quota - used)];
  const known = limits.filter((limit) => limit !== undefined);
  return known.length === 0 ? undefined : bytes(Math.min(...known));
}

/** The names whose content came last, first: where not all fit the offer, visitors find these. */
function newestNames(store: BlockStore): readonly string[] {
  const pins = store.pins().toReversed();
  return [...new Set(pins.map((pin) => pin.name))];
}
