/** What a profile says: who somebody is under a `.sso` name, as long as that somebody has the name. */
import type { LedgerAddress } from '../../core/ids.ts';
import type { UnixMillis, UnixSeconds } from '../../core/units.ts';
import type { NameRecord } from '../../ledger/contract.ts';

export interface ProfileLink {
  readonly label: string;
  /** An address that begins with http:// or https://, or a name such as news.web3. */
  readonly to: string;
}

/** What a wallet says of a profile, and of nothing else: that both belong to one person. */
export interface WalletStatement {
  readonly name: string;
  /** When the name was registered: what was said of it before counts for nobody after. */
  readonly tenure: UnixSeconds;
  /** The wallet that has the name. */
  readonly owner: LedgerAddress;
  /** Who says it. */
  readonly wallet: LedgerAddress;
  readonly created: UnixSeconds;
}

/** With the wallet's signature. */
export interface WalletConsent extends WalletStatement {
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
}

export type BoundWallet = Pick<WalletConsent, 'wallet' | 'created' | 'signature'>;

export interface Profile {
  readonly version: 1;
  /** Ends in `.sso`. */
  readonly name: string;
  /** The record's `registeredAt`: who registers the name again, the same person too, begins anew. */
  readonly tenure: UnixSeconds;
  /** The wallet that has the name: who gets the name begins anew. */
  readonly owner: LedgerAddress;
  /** When it was signed, or one more than that of the profile before: it rises. */
  readonly sequence: UnixMillis;
  readonly displayName: string;
  /** An `.image` name. */
  readonly avatar?: string | undefined;
  readonly about?: string | undefined;
  readonly links: readonly ProfileLink[];
  /** Absent: the owner. */
  readonly payout?: LedgerAddress | undefined;
  /** X25519, 32 bytes. */
  readonly messagingKey?: Uint8Array | undefined;
  /** Wallets besides the owner that are this person's too, each by its own word. */
  readonly wallets: readonly BoundWallet[];
}

export interface SignedProfile {
  readonly profile: Profile;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
  /** As it lies in the content of the name. */
  readonly encoded: Uint8Array;
}

/** What the ledger says of a name that its profile has to agree with. */
export type ProfileHolder = Pick<NameRecord, 'name' | 'owner' | 'manager' | 'registeredAt' | 'status'>;
