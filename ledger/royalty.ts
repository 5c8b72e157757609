/** What a share of a settlement gives a name and the page that showed it: the program's own arithmetic, to the base unit. */
import { amount, type Amount } from '../core/units.ts';

const WHOLE = 10_000n;

/** Basis points, each 0 .. 10,000. */
export interface RoyaltyTerms {
  /** The bank's fee, which comes off first. */
  readonly feeBps: number;
  /** The name's royalty, or the most that the seller pays if that is less. */
  readonly royaltyBps: number;
  /** What of it goes to the page that showed it. */
  readonly referrerBps: number;
}

/** What earlier shares left of a base unit, in parts of 10,000: 0 .. 9,999 each. */
export interface RoyaltyCarry {
  readonly royalty: bigint;
  readonly referrer: bigint;
}

export interface RoyaltyShare {
  /** To the name and the page that showed it, together. */
  readonly royalty: Amount;
  /** The page's part of it. */
  readonly referred: Amount;
  /** For the next share of the name. */
  readonly carry: RoyaltyCarry;
}

/** Nothing was carried yet: a name that was just registered. */
export const NO_CARRY: RoyaltyCarry = { royalty: 0n, referrer: 0n };

/** @param isReferred another name's page showed it */
export function royaltyOf(gross: Amount, isReferred: boolean, terms: RoyaltyTerms, carry: RoyaltyCarry): RoyaltyShare {
  const base = (gross * (WHOLE - BigInt(terms.feeBps))) / WHOLE;
  const due = base * BigInt(terms.royaltyBps) + carry.royalty;
  const royalty = due / WHOLE;
  const part = isReferred ? royalty * BigInt(terms.referrerBps) + carry.referrer : carry.referrer;
  const referred = isReferred ? part / WHOLE : 0n;
  return {
    royalty: amount(royalty),
    referred: amount(referred),
    carry: { royalty: due % WHOLE, referrer: isReferred ? part % WHOLE : carry.referrer },
  };
}
