/** Brings all that a marketplace shows to its host: its sites, and what their owners say in them. */
import { inTurns } from '../../core/in-turns.ts';
import type { Published, Said } from './events.ts';
import type { OwnerCommands } from './owner-commands.ts';
import type { Display, Showing } from './showing.ts';

/** Owners who publish at once: each of them waits for the ledger most of the time. */
const AT_ONCE = 3;

export interface PublishAllOptions {
  readonly display: Display;
  readonly owners: Pick<OwnerCommands, 'publish' | 'post'>;
  readonly onBegin: (what: string) => void;
  readonly onPublished: (published: Published) => void;
  readonly onSaid?: () => void;
}

export interface AllPublished {
  /** In the order of the display. */
  readonly sites: readonly [Published, ...Published[]];
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
  const posts: Said[] = [];
  for (const post of display.posts) {
    onBegin(`what ${post.as} says`);
    posts.push(await owners.post(post, post.answers === undefined ? undefined : posts[post.answers]));
    options.onSaid?.();
  }
  return { sites: [first, ...others.flatMap(({ name }) => done.get(name) ?? [])], posts };
}

function byOwner(showings: readonly Showing[]): readonly (readonly Showing[])[] {
  const groups = new Map<string, Showing[]>();
  for (const showing of showings) groups.set(showing.owner, [...(groups.get(showing.owner) ?? []), showing]);
  return [...groups.values()];
}
