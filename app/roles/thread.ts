/** Reads a thread as a gateway does: over paid circuits, verified, and only what its name lets others say. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { assertNotAborted, deadline } from '../../core/abort.ts';
import { isRelaymintError } from '../../core/errors.ts';
import { inTurns } from '../../core/in-turns.ts';
import { MAX_THREAD_PROFILES } from '../../core/limits.ts';
import { parseName } from '../../core/name.ts';
import type { Log } from '../../core/ports.ts';
import { createMemoryCache } from '../../sites/cache/index.ts';
import { createFeedSource, foldThread, postJson, type AuthorProfile, type PostJson } from '../../sites/feed/index.ts';
import { createManifests } from '../../sites/manifest/index.ts';
import { createNameResolver } from '../../sites/name/index.ts';
import { createProfiles, profileJson, type Profiles } from '../../sites/profile/index.ts';
import { createContentSource } from '../../sites/serve/index.ts';
import type { RunningNode } from '../node/index.ts';
import { createRoutes } from './routes.ts';

/** Profiles that are asked for together, and how long each may take, milliseconds. */
const PROFILES_AT_ONCE = 4;
const PROFILE_MILLIS = 15_000;

export interface ThreadWanted {
  readonly name: string;
  /** The path of the page that it is about. */
  readonly topic: string;
  /** Paid relays in front of the host. */
  readonly relays: number;
  /** Also reads who its authors are, as far as they say: each is asked for at a host of that name, for pay. Default false. */
  readonly profiles?: boolean;
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
  { name, topic, relays, profiles = false, signal }: ThreadWanted,
): Promise<ReadThread> {
  const { log, world } = node.settings;
  const clock = world && { clock: world.clock };
  await using stack = new AsyncDisposableStack();
  const routes = stack.use(createRoutes({ node, relays }));
  const resolver = createNameResolver({ ledger: node.names, ...clock });
  const { root, record } = await resolver.resolve(name);
  const content = createContentSource({
    route: routes.route,
    rootOf: async (asked) => (await resolver.resolve(asked)).root,
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
  const posts = foldThread(view.entries())
    .filter(({ author }) => isOpen || author === name)
    .map((post) => postJson(post, view.author(post.author)));
  const thread = { name, path: topic, open: isOpen };
  if (!profiles) return { ...thread, posts };
  const known = createProfiles({ resolver, content, clock: world?.clock });
  const found = await authorsOf(posts, { profiles: known, referrer: name, signal, log });
  return { ...thread, posts: posts.map((post) => withProfile(post, found.get(post.author.name))) };
}

interface AuthorsWanted {
  readonly profiles: Profiles;
  /** In whose page they are wanted. */
  readonly referrer: string;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Who says something that is shown, the first ones. One who cannot be found out keeps nobody from reading the others. */
async function authorsOf(
  posts: readonly PostJson[],
  { profiles, referrer, signal, log }: AuthorsWanted,
): Promise<ReadonlyMap<string, AuthorProfile>> {
  const shown = posts.filter(({ state }) => state === 'shown').map(({ author }) => author.name);
  const names = Array.from(new Set(shown.filter((author) => parseName(author).tld === 'sso')));
  const found = new Map<string, AuthorProfile>();
  await inTurns(names.slice(0, MAX_THREAD_PROFILES), PROFILES_AT_ONCE, async (author) => {
    using limit = deadline(PROFILE_MILLIS, 'Reading a profile', signal);
    try {
      const one = await profiles.of(author, { referrer, signal: limit.signal });
      if (one === undefined) return;
      const { displayName, avatar, payout } = profileJson(one.profile);
      found.set(author, { displayName, ...(avatar !== undefined && { avatar }), payout });
    } catch (error) {
      assertNotAborted(signal, 'Reading profiles');
      if (!isRelaymintError(error)) throw error;
      log.warn({ author, err: error }, 'the profile of an author is not known');
    }
  });
  return found;
}

function withProfile(post: PostJson, profile: AuthorProfile | undefined): PostJson {
  if (profile === undefined || post.state !== 'shown') return post;
  return { ...post, author: { ...post.author, profile } };
}
