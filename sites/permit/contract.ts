/** Permits to post: a wallet lets the pages of one name write posts as one profile for a while, with a key of their own. */
import type { UnixMillis } from '../../core/units.ts';
import type { SignedForm } from '../siws/contract.ts';

/** Whom it is for. */
export interface PermitTerms {
  /** The name below which posts may be written: its pages hold the key. */
  readonly name: string;
  /** The profile as which they are written. */
  readonly author: string;
  /** Ed25519, 32 bytes. */
  readonly key: Uint8Array;
  readonly since: UnixMillis;
  readonly until: UnixMillis;
}

/** What an entry carries of it. Its name and author are the entry's. */
export interface Permit extends Omit<PermitTerms, 'name' | 'author'> {
  /** How the wallet signed it. */
  readonly form: SignedForm;
  /** Of the wallet, 64 bytes. */
  readonly signature: Uint8Array;
}

/** As it is kept, and handed from page to page. */
export interface SignedPermit extends PermitTerms, Permit {}
