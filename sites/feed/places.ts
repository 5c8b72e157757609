/** Where the entries of a topic stand, so that of what is said of one thing the newest counts. */
import type { Entry, EntryId } from './contract.ts';
import { idOf } from './thread.ts';

export const UPDATE_PLACE: string = 'update';

/** Where an entry stands among those of its topic. */
export function placeOf({ kind, target, ...id }: Entry): string {
  if (kind === 'update') return UPDATE_PLACE;
  if (kind === 'post' || target === undefined) return postPlace(id);
  return kind === 'edit' || kind === 'remove' ? wordsPlace(target) : moderationPlace(target);
}

/** Of two in one place. What is removed stays so. */
export function isNewer(one: Entry, other: Entry): boolean {
  if (one.kind === 'post' || other.kind === 'remove') return false;
  return one.kind === 'remove' || one.sequence > other.sequence;
}

export function postPlace(id: EntryId): string {
  return `post ${idOf(id)}`;
}

/** Of its author's newest word on it. */
export function wordsPlace(id: EntryId): string {
  return `words ${idOf(id)}`;
}

/** Of the owner's. */
export function moderationPlace(id: EntryId): string {
  return `moderation ${idOf(id)}`;
}
