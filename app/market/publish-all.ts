/** Brings all that a marketplace shows to its host: its sites, and what their owners say in them. */
import { inTurns } from '../../core/in-turns.ts';
import type { PostId, Published, Said, Thread } from './events.ts';
import type { OwnerCommands } from './owner-commands.ts';
import type { Display, Showing } from './showing.ts';

/** Owners who publish at once: each of them waits for the ledger most of the time. */
const AT_ONCE = 3;

export interface PublishAllOptions {
  readonly display: Display;
  readonly owners: Pick<OwnerCommands, 'publish' | 'post' | 'thread'>;
  readonly onBegin: (what: string) => void;
  readonly onPublished: (published: Published) => void;
  readonly onSaid?: () => void;
}

export interface AllPublished {
  /** In the order of the display. */
  readonly sites: readonly [Published, ...Published[]];
  /** Those that were said now. */
  readonly posts: readonly Said[];
}

/** The front first, so that visitors have something to look at. @throws RelaymintError INTERNAL with the last output of what failed. */
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
  return { sites: all, posts: await sayAll(options, all) };
}

/** What was said in an earlier start is not said again. @returns what was said now. */
async function sayAll(
  { display, owners, onBegin, onSaid }: PublishAllOptions,
  sites: readonly Published[],
): Promise<readonly Said[]> {
  const anew = new Set(sites.filter(({ record }) => record === 'registered').map(({ name }) => name));
  const threads = new Map<string, Thread['posts']>();
  const said: Said[] = [];
  const ids: PostId[] = [];
  for (const post of display.posts) {
    const { name, path, as, text, answers } = post;
    onBegin(`what ${as} says`);
    const key = `${name} ${path}`;
    const before = threads.get(key) ?? (anew.has(name) ? [] : (await owners.thread(post)).posts);
    threads.set(key, before);
    const known = before.find((one) => one.author.name === as && one.text === text);
    if (known !== undefined) ids.push({ author: as, sequence: known.sequence });
    else {
      const one = await owners.post(post, answers === undefined ? undefined : ids[answers]);
      said.push(one);
      ids.push(one);
    }
    onSaid?.();
  }
  return said;
}

function byOwner(showings: readonly Showing[]): readonly (readonly Showing[])[] {
  const groups = new Map<string, Showing[]>();
  for (const showing of showings) groups.set(showing.owner, [...(groups.get(showing.owner) ?? []), showing]);
  return [...groups.values()];
}
