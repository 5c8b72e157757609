/** Reads a thread as a gateway does: over paid circuits, verified, and only what its name lets others say. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { createMemoryCache } from '../../sites/cache/index.ts';
import { createFeedSource, foldThread, postJson, type PostJson } from '../../sites/feed/index.ts';
import { createManifests } from '../../sites/manifest/index.ts';
import { createNameResolver } from '../../sites/name/index.ts';
import { createContentSource } from '../../sites/serve/index.ts';
import type { RunningNode } from '../node/index.ts';
import { createRoutes } from './routes.ts';

export interface ThreadWanted {
  readonly name: string;
  /** The path of the page that it is about. */
  readonly topic: string;
  /** Paid relays in front of the host. */
  readonly relays: number;
  readonly signal: AbortSignal;
}

export interface ReadThread {
  readonly name: string;
  readonly path: string;
  /** The name lets everybody with a profile post. */
  readonly open: boolean;
  readonly posts: readonly PostJson[];
}

/** @throws RelaymintError NAME_UNKNOWN, NAME_EXPIRED, MANIFEST_INVALID, NO_ROUTE, CONTENT_REFUSED, ABORTED, .. */
export async function readThread(
  node: RunningNode,
  { name, topic, relays, signal }: ThreadWanted,
): Promise<ReadThread> {
  const { log, world } = node.settings;
  const clock = world && { clock: world.clock };
  await using stack = new AsyncDisposableStack();
  const routes = stack.use(createRoutes({ node, relays }));
  const resolver = createNameResolver({ ledger: node.names, ...clock });
  const { root, record } = await resolver.resolve(name);
  const content = createContentSource({
    route: routes.route,
    rootOf: () => Promise.resolve(root),
    onBadHost: routes.failed,
    cache: createMemoryCache({ leaves: false }),
    log,
  });
  stack.defer(() => content.close());
  const site = await content.open({ name, root }, { signal });
  stack.defer(() => site.close());
  const signed = await createManifests().of(record, site, signal);
  const isOpen = signed?.manifest.comments === 'anybody';
  const feeds = stack.use(
    createFeedSource({
      route: routes.route,
      record: (author) => resolver.record(author),
      onBadHost: routes.failed,
      ...clock,
      log,
    }),
  );
  using view = feeds.open({ name, topic });
  await view.complete(signal);
  const posts = foldThread(view.entries()).filter(({ author }) => isOpen || author === name);
  return { name, path: topic, open: isOpen, posts: posts.map((post) => postJson(post, view.author(post.author))) };
}
