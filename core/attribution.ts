/** For whom what is sent counts: names' shares of it, from which royalties are paid. */
import { RelaymintError } from './errors.ts';
import { MAX_ATTRIBUTED_NAMES } from './limits.ts';
import { parseName } from './name.ts';
import { ALL_BPS, type BasisPoints } from './units.ts';

/** So much of what is sent counts for content of that name. */
export interface NameShare {
  /** With its TLD: demo.web3. */
  readonly name: string;
  readonly share: BasisPoints;
}

declare const checked: unique symbol;
/** At most MAX_ATTRIBUTED_NAMES shares of different names, together at most all. It never changes. */
export type Attribution = readonly NameShare[] & { readonly [checked]: true };

/**
 * A copy of the shares. What they leave of the whole counts for nobody.
 * @throws RelaymintError NAME_INVALID; INVALID_ARGUMENT (too many, a name twice, more than all of it).
 */
export function attribution(shares: readonly NameShare[]): Attribution {
  if (shares.length > MAX_ATTRIBUTED_NAMES)
    throw refused(`${shares.length} names are more than ${MAX_ATTRIBUTED_NAMES}`);
  const own = shares.map(({ name, share }) => Object.freeze({ name: parseName(name).name, share }));
  const names = new Set(own.map(({ name }) => name));
  if (names.size < own.length) throw refused('a name stands there twice');
  const all = own.reduce((sum, { share }) => sum + share, 0);
  if (all > ALL_BPS) throw refused(`the shares add up to ${all} of ${ALL_BPS}`);
  return Object.freeze(own) as readonly NameShare[] as Attribution;
}

/** The same shares in the same order. Asked on the packet path: it allocates nothing. */
export function isSameAttribution(one: Attribution, other: Attribution): boolean {
  if (one === other) return true;
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index += 1) {
    if (one[index]?.name !== other[index]?.name || one[index]?.share !== other[index]?.share) return false;
  }
  return true;
}

function refused(why: string): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `What is sent cannot count for these names: ${why}.`, {
    remedy: `Name at most ${MAX_ATTRIBUTED_NAMES} different names, with shares of at most 100% together.`,
  });
}
