/** For whom what is sent counts: names' shares of it, from which royalties are paid. */
import { RelaymintError } from './errors.ts';
import { MAX_ATTRIBUTED_NAMES } from './limits.ts';
import { parseName } from './name.ts';
import { ALL_BPS, type BasisPoints } from './units.ts';

/** So much of what is sent counts for content of that name. */
export interface NameShare {
  /** With its TLD: demo.web3. */
  readonly name: string;
  /** The name of the site that shows it there, as the visitor says: it gets the part of the name's royalty that the name offers. */
  readonly referrer?: string | undefined;
  readonly share: BasisPoints;
}

/** Who earns from a share. */
export type Earners = Pick<NameShare, 'name' | 'referrer'>;

declare const checked: unique symbol;
/** At most MAX_ATTRIBUTED_NAMES shares of different names, together at most all. It never changes. */
export type Attribution = readonly NameShare[] & { readonly [checked]: true };

/**
 * A copy of the shares. What they leave of the whole counts for nobody. A name that is its own referrer has none: a site that shows
 * its own content is no other.
 * @throws RelaymintError NAME_INVALID; INVALID_ARGUMENT (too many, a name twice, more than all of it).
 */
export function attribution(shares: readonly NameShare[]): Attribution {
  if (shares.length > MAX_ATTRIBUTED_NAMES)
    throw refused(`${shares.length} names are more than ${MAX_ATTRIBUTED_NAMES}`);
  const own = shares.map((given): NameShare => {
    const name = parseName(given.name).name;
    const referrer = given.referrer === undefined ? undefined : parseName(given.referrer).name;
    return Object.freeze({
      name,
      share: given.share,
      ...(referrer === undefined || referrer === name ? {} : { referrer }),
    });
  });
  const names = new Set(own.map(({ name }) => name));
  if (names.size < own.length) throw refused('a name stands there twice');
  const all = own.reduce((sum, { share }) => sum + share, 0);
  if (all > ALL_BPS) throw refused(`the shares add up to ${all} of ${ALL_BPS}`);
  return Object.freeze(own) as Attribution;
}

/** The same shares in the same order. Asked on the packet path: it allocates nothing. */
export function isSameAttribution(one: Attribution, other: Attribution): boolean {
  if (one === other) return true;
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index += 1) {
    const mine = one[index];
    const theirs = other[index];
    if (mine?.name !== theirs?.name || mine?.share !== theirs?.share || mine?.referrer !== theirs?.referrer) {
      return false;
    }
  }
  return true;
}

/** Each name and referrer of the shares once, in the order in which they come. */
export function namesIn(shares: readonly Earners[]): readonly string[] {
  const all = shares.flatMap(({ name, referrer }) => (referrer === undefined ? [name] : [name, referrer]));
  return Array.from(new Set(all));
}

/** Neither has one in it. */
const BETWEEN = ' ';

/** Name and referrer as one text, in memory and on disk: the name alone where there is no referrer. */
export function earnersKey({ name, referrer }: Earners): string {
  return referrer === undefined ? name : name + BETWEEN + referrer;
}

/** What `earnersKey` made a text of. */
export function earnersOf(key: string): Earners {
  const at = key.indexOf(BETWEEN);
  return at < 0 ? { name: key } : { name: key.slice(0, at), referrer: key.slice(at + BETWEEN.length) };
}

function refused(why: string): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `What is sent cannot count for these names: ${why}.`, {
    remedy: `Name at most ${MAX_ATTRIBUTED_NAMES} different names, with shares of at most 100% together.`,
  });
}
