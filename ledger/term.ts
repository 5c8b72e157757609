/**
 * How long names last and what they cost, exactly as the program counts it (`ledger/program/src/term.rs`). Times are the
 * chain's, in seconds; prices are base units of credit.
 */
import { amount, unixSeconds } from '../core/units.ts';
import type { Amount, UnixSeconds } from '../core/units.ts';

const DAY_SECONDS = 86_400n;
export const YEAR_SECONDS: bigint = 365n * DAY_SECONDS;
/** How long after its expiry a name still resolves and is its owner's to renew. */
export const GRACE_SECONDS: bigint = 30n * DAY_SECONDS;
/** A name is held at most this far ahead. */
export const MAX_YEARS = 10;
/** A commitment can be revealed for this long. */
export const COMMITMENT_LIFE_SECONDS: bigint = DAY_SECONDS;
/** The premium of a name at the end of its grace period, in years' prices; a power of two. */
export const PREMIUM_YEARS = 1024n;
/** Days after which the premium is zero. */
export const PREMIUM_DAYS = 21n;

/** `held`: its owner's. `grace`: the same, but it has expired. `expired`: anybody may register it. */
export type NameStatus = 'held' | 'grace' | 'expired';

/** The state of a name at a time. `expiresAt` undefined: it never expires (registered before names had terms). */
export function nameStatus(expiresAt: UnixSeconds | undefined, now: UnixSeconds): NameStatus {
  if (expiresAt === undefined || now < expiresAt) return 'held';
  return now < expiresAt + GRACE_SECONDS ? 'grace' : 'expired';
}

/** When anybody may register it; undefined for never. */
export function releasedAt(expiresAt: UnixSeconds | undefined): UnixSeconds | undefined {
  return expiresAt === undefined ? undefined : unixSeconds(expiresAt + GRACE_SECONDS);
}

/** Whole days from one time to another, rounded down; negative when it has passed. */
export function daysBetween(from: UnixSeconds, to: UnixSeconds): number {
  return Math.floor(Number(to - from) / Number(DAY_SECONDS));
}

export interface NamePriceQuestion {
  /** The bank's. */
  readonly yearPrice: Amount;
  /** 1 .. 10. */
  readonly years: number;
  /** The present record's expiry; undefined when there is no record. */
  readonly expiresAt?: UnixSeconds | undefined;
  readonly now: UnixSeconds;
}

/** What it costs to register a name that can be registered, or to renew one that is held: the premium is 0 then. */
export function namePrice({ yearPrice, years, expiresAt, now }: NamePriceQuestion): Amount {
  const premium = expiresAt === undefined ? 0n : namePremium(yearPrice, now - expiresAt - GRACE_SECONDS);
  return amount(BigInt(years) * yearPrice + premium);
}

/** Halved every day since the grace period ended, in a straight line within a day. */
function namePremium(yearPrice: Amount, elapsed: bigint): bigint {
  const day = elapsed / DAY_SECONDS;
  if (elapsed < 0n || day >= PREMIUM_DAYS) return 0n;
  const high = (PREMIUM_YEARS * yearPrice) >> day;
  const drop = high - (high >> 1n);
  return high - (drop * (elapsed % DAY_SECONDS)) / DAY_SECONDS;
}
