/** What a thread comes to: posts as they are now, out of all that was said. */
import type { Entry, EntryId, SignedEntry } from './contract.ts';

export type PostState = 'shown' | 'removed' | 'hidden';

export interface Post extends EntryId {
  readonly created: number;
  /** When it was said as it is now; undefined: it was never edited. */
  readonly edited: number | undefined;
  /** What it answers. */
  readonly answers: EntryId | undefined;
  readonly state: PostState;
  /** Of what is shown. */
  readonly mediaType: string | undefined;
  readonly content: Uint8Array | undefined;
}

export function idOf({ author, sequence }: EntryId): string {
  return `${author} ${sequence}`;
}

/**
 * In the order in which they were made. What is about no post of these is left out. An author's newest word on a post counts, and of
 * hiding and showing the owner's newest, in whichever order they come.
 */
export function foldThread(entries: readonly SignedEntry[]): readonly Post[] {
  const said = entries.map(({ entry }) => entry);
  const about = newestAbout(said);
  const posts = said.filter(({ kind }) => kind === 'post');
  return posts.map((post) => postOf(post, about.get(idOf(post)))).toSorted(byTime);
}

interface About {
  words?: Entry;
  moderation?: Entry;
}

function newestAbout(entries: readonly Entry[]): ReadonlyMap<string, About> {
  const all = new Map<string, About>();
  for (const entry of entries) {
    const { kind, target } = entry;
    if (target === undefined || kind === 'post') continue;
    const about = all.get(idOf(target)) ?? {};
    all.set(idOf(target), about);
    const field = kind === 'hide' || kind === 'show' ? 'moderation' : 'words';
    if ((about[field]?.sequence ?? 0) < entry.sequence) about[field] = entry;
  }
  return all;
}

function postOf(post: Entry, { words, moderation }: About = {}): Post {
  const state = words?.kind === 'remove' ? 'removed' : moderation?.kind === 'hide' ? 'hidden' : 'shown';
  const now = words?.kind === 'edit' ? words : post;
  return {
    author: post.author,
    sequence: post.sequence,
    created: post.created,
    edited: words?.kind === 'edit' ? words.created : undefined,
    answers: post.target,
    state,
    mediaType: state === 'shown' ? now.mediaType : undefined,
    content: state === 'shown' ? now.content : undefined,
  };
}

function byTime(one: Post, other: Post): number {
  if (one.created !== other.created) return one.created - other.created;
  const [mine, theirs] = [idOf(one), idOf(other)];
  return mine < theirs ? -1 : mine > theirs ? 1 : 0;
}
