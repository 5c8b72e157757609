/** What a thread comes to: posts as they are now, out of all that was said. */
import type { EntryId, SignedEntry } from './contract.ts';

/** Of a signature: nobody makes two that agree in these. */
const MARK_BYTES = 15;

export type PostState = 'shown' | 'removed' | 'hidden';

export interface Post extends EntryId {
  readonly created: number;
  /** When it was said as it is now; undefined: it was never edited. */
  readonly edited: number | undefined;
  /** Number of the newest entry that made it what it is. */
  readonly revision: number;
  /** Another one whenever another entry makes it what it is, whatever number that has: an owner's may be far ahead of the author's. */
  readonly mark: string;
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
 * hiding and showing the owner's newest, in whichever order they come; what is removed stays so. Of two that an author gave one number,
 * the one counts whose bytes come later, for who has both; a host keeps the one that it was brought first.
 */
export function foldThread(entries: readonly SignedEntry[]): readonly Post[] {
  const said = new Map<string, About>();
  for (const signed of entries) {
    const { kind, target } = signed.entry;
    if (kind !== 'post' && target === undefined) continue;
    const id = idOf(kind === 'post' || target === undefined ? signed.entry : target);
    const about = said.get(id) ?? {};
    said.set(id, about);
    const field = kind === 'post' ? 'post' : kind === 'hide' || kind === 'show' ? 'moderation' : 'words';
    const known = about[field];
    if (known === undefined || isLater(signed, known)) about[field] = signed;
  }
  const posts = Array.from(said.values(), postOf).filter((post) => post !== undefined);
  return posts.toSorted(byTime);
}

/** What is said of one post. */
interface About {
  post?: SignedEntry;
  words?: SignedEntry;
  moderation?: SignedEntry;
}

function isLater(one: SignedEntry, other: SignedEntry): boolean {
  const [mine, theirs] = [one.entry, other.entry];
  if ((mine.kind === 'remove') !== (theirs.kind === 'remove')) return mine.kind === 'remove';
  if (mine.sequence !== theirs.sequence) return mine.sequence > theirs.sequence;
  return Buffer.compare(one.encoded, other.encoded) > 0;
}

function postOf({ post: signed, words, moderation }: About): Post | undefined {
  if (signed === undefined) return undefined;
  const post = signed.entry;
  const state = words?.entry.kind === 'remove' ? 'removed' : moderation?.entry.kind === 'hide' ? 'hidden' : 'shown';
  const edit = words?.entry.kind === 'edit' ? words.entry : undefined;
  const now = edit ?? post;
  return {
    author: post.author,
    sequence: post.sequence,
    created: post.created,
    edited: edit?.created,
    revision: Math.max(...[signed, words, moderation].map((each) => each?.entry.sequence ?? 0)),
    mark: [signed, words, moderation].map(markOf).join(' '),
    answers: post.target,
    state,
    mediaType: state === 'shown' ? now.mediaType : undefined,
    content: state === 'shown' ? now.content : undefined,
  };
}

/** Of one entry: two of one number differ in what is signed. */
function markOf(signed: SignedEntry | undefined): string {
  return signed === undefined ? '-' : Buffer.from(signed.signature.subarray(0, MARK_BYTES)).toString('base64');
}

function byTime(one: Post, other: Post): number {
  if (one.created !== other.created) return one.created - other.created;
  const [mine, theirs] = [idOf(one), idOf(other)];
  return mine < theirs ? -1 : mine > theirs ? 1 : 0;
}
