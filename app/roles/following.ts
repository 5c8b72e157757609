/** A host reads what other hosts of its names were told, every minute, as a visitor would: over circuits of its own, which it pays. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_SYNC_PRICES, SYNC_MILLIS } from '../../core/limits.ts';
import { systemClock } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { priceOf } from '../../node/offer/index.ts';
import { CONTENT_SERVICE } from '../../sites/blocks/index.ts';
import { createFeedSync, type FeedServices, type FeedStore, type FeedSync } from '../../sites/feed/index.ts';
import type { RunningNode } from '../node/index.ts';
import { keepersOf } from './keepers.ts';
import { createRoutes } from './routes.ts';

export interface Following extends Pick<FeedSync, 'note'>, AsyncDisposable {
  /** Reads them at once. Who asks during that shares it. @throws RelaymintError ABORTED. */
  follow(): Promise<void>;
}

interface FollowingOptions extends Pick<FeedServices, 'take'> {
  readonly feeds: FeedStore;
  /** What this host asks for content: one that asks many times as much is not read. */
  readonly price: PricePerMiB;
}

export function followOthers(node: RunningNode, { feeds, take, price }: FollowingOptions): Following {
  const { log, world } = node.settings;
  const { book } = node.discovery;
  const own = node.keys.identity.nodeId;
  const stack = new AsyncDisposableStack();
  // Both are hosts, which anybody may see talk: no relays.
  const routes = stack.use(createRoutes({ node, relays: 0 }));
  const keepers = (name: string): ReturnType<typeof keepersOf> => keepersOf(book, name).filter((host) => host !== own);
  const sync = createFeedSync({
    feeds,
    take,
    others: (name) =>
      keepers(name).filter((host) => {
        const offer = book.get(host);
        const asked = offer && priceOf(offer, CONTENT_SERVICE);
        return asked !== undefined && asked <= MAX_SYNC_PRICES * price;
      }),
    route: (host, name, signal) =>
      routes.route({ name }, { avoid: new Set([own, ...keepers(name).filter((other) => other !== host)]), signal }),
    clock: world?.clock ?? systemClock,
    log,
  });
  const ending = new AbortController();
  let reading: Promise<void> | undefined;
  const follow = (): Promise<void> =>
    (reading ??= sync.round(ending.signal).finally(() => {
      reading = undefined;
    }));
  stack.use(repeat({ everyMillis: SYNC_MILLIS, work: follow, what: 'reading what other hosts were told', log }));
  stack.defer(async () => {
    ending.abort(new RelaymintError('CLOSED', 'The host is stopping.'));
    await reading?.catch(() => undefined);
  });
  return { note: (topic) => sync.note(topic), follow, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
