/** What a manifest says, and what those who serve names want of it. */
import type { CID } from 'multiformats/cid';
import type { LedgerAddress } from '../../core/ids.ts';
import type { BasisPoints, PricePerMiB, UnixSeconds } from '../../core/units.ts';
import type { NameRecord, Split } from '../../ledger/contract.ts';
import type { BlockReader } from '../blocks/contract.ts';

export type ContentKind = 'site' | 'image' | 'video' | 'map' | 'route';

/** Who may do what, in the words of RSL 1.0; all three empty: nothing is said. */
export interface LicenceTerms {
  readonly usage: readonly LicenceUsage[];
  readonly user: readonly LicenceUser[];
  /** Countries, two capital letters (ISO 3166-1). */
  readonly geo: readonly string[];
}

export type LicenceUsage = 'all' | 'ai-all' | 'ai-train' | 'ai-input' | 'ai-index' | 'search';
export type LicenceUser = 'commercial' | 'non-commercial' | 'education' | 'government' | 'personal';
export type LicencePayment =
  'purchase' | 'subscription' | 'training' | 'crawl' | 'use' | 'contribution' | 'attribution' | 'free';

export interface Licence {
  readonly permits: LicenceTerms;
  readonly prohibits: LicenceTerms;
  readonly payment: LicencePayment;
  /** Where its text is: http or https. */
  readonly url?: string | undefined;
}

/** Pages of which names may show it in a frame, an image or a player of theirs. */
export type Embedding = 'none' | 'anybody' | readonly string[];

/** Where a site takes people back whom an issuer signed in: paths of its own, each exactly as an issuer may use it. */
export interface SignInPlaces {
  readonly redirects: readonly string[];
  readonly signedOut: readonly string[];
}

/** What the owner of a name says of its content. */
export interface Manifest {
  readonly version: 1;
  readonly name: string;
  readonly kind: ContentKind;
  /** Of the original: text/html for a site. */
  readonly mediaType: string;
  /** The content that it is about. */
  readonly root: CID;
  /** The wallet that has the name. */
  readonly owner: LedgerAddress;
  readonly creator: string;
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  readonly copyright?: string | undefined;
  /** Absent: nothing is permitted beyond looking at it. */
  readonly licence?: Licence | undefined;
  /** What the owner asks hosts to sell it for. Absent: their own price. Hosts set what they sell for. */
  readonly price?: PricePerMiB | undefined;
  readonly royaltyBps: BasisPoints;
  /** For who brought the visitor. */
  readonly referrerBps: BasisPoints;
  readonly splits: readonly Split[];
  readonly embedding: Embedding;
  readonly comments: 'none' | 'anybody';
  /** Absent: it signs nobody in. */
  readonly signIn?: SignInPlaces | undefined;
  readonly created: UnixSeconds;
}

/** A manifest as it is stored and sent: one block, that its CID names. */
export interface SignedManifest {
  readonly manifest: Manifest;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
  readonly cid: CID;
  readonly block: Uint8Array;
}

/** What the ledger says of a name that its manifest has to agree with. */
export type NameState = Pick<
  NameRecord,
  'name' | 'seq' | 'root' | 'manifest' | 'owner' | 'manager' | 'royaltyBps' | 'referrerBps' | 'splits'
>;

export interface Manifests {
  /**
   * The manifest of a name, verified against what the ledger says of it now; undefined where it has none and needs none. It is fetched and
   * verified once for each state of the record, however many ask, also when it was found to be bad.
   * @param reader who may know what was asked for before: the page of another name learns nothing of what its visitor has seen elsewhere.
   * @throws RelaymintError MANIFEST_INVALID; what the reader throws; ABORTED.
   */
  of(record: NameState, blocks: BlockReader, signal: AbortSignal, reader?: string): Promise<SignedManifest | undefined>;
}
