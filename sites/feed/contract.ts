/** Updates and posts: small signed entries below a name, which hosts keep beside its content and tell as they come. */
import type { UnixMillis } from '../../core/units.ts';
import type { Permit } from '../permit/contract.ts';

/**
 * `update`: what the name says of now; the newest counts. `post`, `edit`, `remove`: of an author in a thread. `hide`, `show`: what the owner
 * of the name that the thread is of does with a post.
 */
export type EntryKind = 'update' | 'post' | 'edit' | 'remove' | 'hide' | 'show';

/** An entry by its author's name and number, within its name and topic. */
export interface EntryId {
  readonly author: string;
  readonly sequence: number;
}

/** The topic of a name's updates. Any other is the path of the page that a thread is about: it begins with a slash. */
export const LIVE_TOPIC = '';

export interface Entry extends EntryId {
  readonly version: 1;
  readonly kind: EntryKind;
  /** The name whose hosts keep it. */
  readonly name: string;
  readonly topic: string;
  /** By the author's clock. */
  readonly created: UnixMillis;
  /** Of updates: when it counts no more. */
  readonly expires?: UnixMillis | undefined;
  /** Of what it says; absent where it says nothing. */
  readonly mediaType?: string | undefined;
  readonly content?: Uint8Array | undefined;
  /** What a post answers, or what is edited, removed, hidden or shown. */
  readonly target?: EntryId | undefined;
  /** Of posts that a page wrote: by which its key may sign for the author. Absent: the author's own wallet did. */
  readonly permit?: Permit | undefined;
}

/** An entry as it is stored and sent. */
export interface SignedEntry {
  readonly entry: Entry;
  /** Ed25519, 64 bytes, of the owner or manager of the author's name, or of the key that one of them permits. */
  readonly signature: Uint8Array;
  readonly encoded: Uint8Array;
}

/** Where an entry belongs. */
export interface Topic {
  readonly name: string;
  readonly topic: string;
}

/** An entry, and its number among those that this host took for its topic: they rise, with gaps. */
export interface Arrived {
  readonly arrival: number;
  readonly signed: SignedEntry;
}

/** What hosts keep of updates and posts, in LevelDB. One process at a time. */
export interface FeedStore extends AsyncDisposable {
  /**
   * Keeps it, synced, and tells all who wait; what is there already stays as it is. Its signature has been checked.
   * @throws RelaymintError ENTRY_STALE (the same author said this or something newer); ENTRY_INVALID (there is nothing that it could be
   * about; what takes a post back is kept also where the post never came, so that it never will); LIMIT_EXCEEDED; STORAGE_FULL, STORAGE_FAILED.
   */
  add(signed: SignedEntry): Promise<number>;
  /**
   * The number of one that is there already; undefined: it is news.
   * @throws RelaymintError ENTRY_STALE, ENTRY_INVALID, as `add`.
   */
  known(signed: SignedEntry): Promise<number | undefined>;
  /** Whether the post that it is about is here. */
  hasTarget(signed: SignedEntry): Promise<boolean>;
  /**
   * Those that came after that number, oldest first, as many as fit a page; of hidden and removed posts only that they are.
   * @param counts entries that it says no to are left out, and hide nothing.
   */
  after(topic: Topic, arrival: number, counts?: (signed: SignedEntry) => boolean): Promise<readonly Arrived[]>;
  newest(topic: Topic): Promise<Arrived | undefined>;
  /** Calls back when something is added to the topic, until it is disposed. */
  onAdded(topic: Topic, tell: () => void): Disposable;
  /** Names of which there is something. */
  names(): Promise<readonly string[]>;
  /** Removes all that is kept for a name. */
  forget(name: string): Promise<void>;
}
