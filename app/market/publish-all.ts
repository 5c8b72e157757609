/** Brings all that a marketplace shows to its host: its sites, and what their owners say in them. */
import { isRelaymintError } from '../../core/errors.ts';
import { inTurns } from '../../core/in-turns.ts';
import type { Log } from '../../core/ports.ts';
import type { PostId, Published, Said, Thread } from './events.ts';
import type { MarketLayout } from './layout.ts';
import type { OwnerCommands } from './owner-commands.ts';
import type { Display, Post, Showing } from './showing.ts';

/** Owners who publish at once: each of them waits for the ledger most of the time. */
const AT_ONCE = 3;

export interface PublishAllOptions {
  readonly display: Display;
  readonly owners: Pick<OwnerCommands, 'publish' | 'post' | 'thread'>;
  /** What earlier starts said. */
  readonly layout: Pick<MarketLayout, 'saidAs' | 'rememberSaid'>;
  readonly log: Log;
  readonly onBegin: (what: string) => void;
  readonly onPublished: (published: Published) => void;
  readonly onSaid?: () => void;
}

export interface AllPublished {
  /** In the order of the display. */
  readonly sites: readonly [Published, ...Published[]];
  /** Those that were said now. */
  readonly said: readonly Said[];
  /** Of the display's those that threads are to have: all but what their authors edited or took back since. */
  readonly standing: readonly Post[];
}

/**
 * The front first, so that visitors have something to look at. A post that cannot be said is warned of, and all else goes on.
 * @throws RelaymintError INTERNAL with the last output of what could not be published; ABORTED.
 */
export async function publishAll(options: PublishAllOptions): Promise<AllPublished> {
  const { display, owners, onBegin, onPublished } = options;
  const [front, ...others] = display.showings;
  const publish = async (showing: Showing): Promise<Published> => {
    onBegin(showing.name);
    const published = await owners.publish(showing);
    onPublished(published);
    return published;
  };
  const first = await publish(front);
  const done = new Map<string, Published>();
  // One owner has one data folder, in which one command works at a time.
  await inTurns(byOwner(others), AT_ONCE, async (ofOne) => {
    for (const showing of ofOne) done.set(showing.name, await publish(showing));
  });
  const all: readonly [Published, ...Published[]] = [first, ...others.flatMap(({ name }) => done.get(name) ?? [])];
  return { sites: all, ...(await sayAll(options, all)) };
}

/** What was said in an earlier start is not said again, whatever became of it since. */
async function sayAll(
  { display, owners, layout, log, onBegin, onSaid }: PublishAllOptions,
  sites: readonly Published[],
): Promise<Omit<AllPublished, 'sites'>> {
  const anew = new Set(sites.filter(({ record }) => record === 'registered').map(({ name }) => name));
  /** A thread that cannot be read is asked for once. */
  const threads = new Map<string, Promise<Thread>>();
  const said: Said[] = [];
  const changed = new Set<Post>();
  /** Of the display's posts; undefined for what could not be said. */
  const ids: (PostId | undefined)[] = [];
  const saidBefore = async (post: Post): Promise<Thread['posts']> => {
    if (anew.has(post.name)) return [];
    const key = `${post.name} ${post.path}`;
    const thread = threads.get(key) ?? owners.thread(post);
    threads.set(key, thread);
    return (await thread).posts;
  };
  const idOf = async (post: Post): Promise<PostId | undefined> => {
    const { name, as, text, answers } = post;
    const known = (await saidBefore(post)).find((one) => one.author.name === as && one.text === text);
    const sequence = known?.sequence ?? (anew.has(name) ? undefined : layout.saidAs(post));
    if (known === undefined && sequence !== undefined) changed.add(post);
    if (sequence !== undefined) return { author: as, sequence };
    const answered = answers === undefined ? undefined : ids[answers];
    if (answers !== undefined && answered === undefined) {
      log.warn({ name, author: as }, 'an answer was not said, because what it answers was not');
      return undefined;
    }
    const one = await owners.post(post, answered);
    said.push(one);
    return one;
  };
  for (const post of display.posts) {
    const { name, as } = post;
    onBegin(`what ${as} says`);
    const id = await idOf(post).catch((error: unknown) => {
      // Without it all else is there.
      if (!isRelaymintError(error) || error.code === 'ABORTED') throw error;
      log.warn({ err: error, name, author: as }, 'a post could not be said');
      return undefined;
    });
    ids.push(id);
    if (id !== undefined) await layout.rememberSaid(post, id.sequence);
    onSaid?.();
  }
  return { said, standing: display.posts.filter((post) => !changed.has(post)) };
}

function byOwner(showings: readonly Showing[]): readonly (readonly Showing[])[] {
  const groups = new Map<string, Showing[]>();
  for (const showing of showings) groups.set(showing.owner, [...(groups.get(showing.owner) ?? []), showing]);
  return [...groups.values()];
}
