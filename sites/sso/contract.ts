/** What the issuer keeps, and what it asks of others. */
import type { LedgerAddress } from '../../core/ids.ts';
import type { UnixMillis, UnixSeconds } from '../../core/units.ts';

/**
 * What an issuer remembers: small records under text keys, each until its time. Several issuers may share one: every operation takes effect
 * at once for all of them, and of any number that claim a key exactly one gets it.
 */
export interface IssuerStore extends AsyncDisposable {
  /** undefined: not there, or its time is over. */
  get(key: string): Promise<string | undefined>;
  /** Replaces what was there. */
  put(key: string, value: string, until: UnixMillis): Promise<void>;
  /** True for the one that came first, among all processes on this store; a key that is claimed or put stays taken until its time. */
  claim(key: string, until: UnixMillis): Promise<boolean>;
  delete(key: string): Promise<void>;
  /** Keys that begin so and whose time is not over, in order, at most `most`. */
  keys(prefix: string, most: number): Promise<readonly string[]>;
}

/** What the ledger says of a name, as far as signing in depends on it. */
export interface NameHolding {
  readonly name: string;
  readonly owner: LedgerAddress;
  /** When this tenure began: a name that lapsed and was registered again is another. */
  readonly registeredAt: UnixSeconds;
  /** How often it was ever given away: tells one hand from the next, which an address does not where a lost wallet was replaced. */
  readonly transfers: number;
  readonly isActive: boolean;
}

/** What a person's profile says of them. Everything in it is public. */
export interface PublicProfile {
  readonly displayName: string;
  readonly about?: string | undefined;
  /** The name of an image. */
  readonly avatar?: string | undefined;
  readonly links: readonly string[];
  /** Where earnings of posts go. */
  readonly payout: LedgerAddress;
  /** Wallets besides the owner's that may sign in as it, each of which said so itself. */
  readonly wallets: readonly LedgerAddress[];
  readonly updated: UnixSeconds;
}

/** A site that signs people in by its name: what its manifest says of it. */
export interface NameClient {
  readonly holding: NameHolding;
  readonly title?: string | undefined;
  /** Paths on the site's own origin that a visitor may be sent back to, signed in. */
  readonly redirects: readonly string[];
  /** The same, signed out. */
  readonly signedOut: readonly string[];
}

/** Where names are looked up. Each may throw a RelaymintError: then nobody is let in by what is not known. */
export interface Directory {
  /** undefined: nobody has it. */
  holding(name: string, signal: AbortSignal): Promise<NameHolding | undefined>;
  /** undefined: it has no profile, or none that is valid. */
  profile(holding: NameHolding, signal: AbortSignal): Promise<PublicProfile | undefined>;
  /** undefined: there is no such site, or it signs nobody in. */
  client(name: string, signal: AbortSignal): Promise<NameClient | undefined>;
}
