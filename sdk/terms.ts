/** What the owner of a name says of its content. */
import { asked, jsonOf, type Client, type NameOptions } from './client.ts';
import { RelaymintError } from '../core/errors.ts';

export interface LicenceTerms {
  readonly usage: readonly string[];
  readonly user: readonly string[];
  readonly geo: readonly string[];
}

/** As a gateway verified it: signed by who has the name. */
export interface SiteManifest {
  readonly version: 1;
  readonly name: string;
  /** `site`, `image`, `video`, `map` or `route`. */
  readonly kind: string;
  readonly mediaType: string;
  /** CID of the content that it is about. */
  readonly root: string;
  /** Wallet address. */
  readonly owner: string;
  readonly creator: string;
  readonly title?: string;
  readonly description?: string;
  readonly copyright?: string;
  /** In the words of RSL 1.0. Without it nothing is permitted beyond looking at it. */
  readonly licence?: {
    readonly permits: LicenceTerms;
    readonly prohibits: LicenceTerms;
    readonly payment: string;
    readonly url?: string;
  };
  /** Credits per MiB that the owner asks hosts to sell it for. */
  readonly price?: string;
  /** Parts of 10,000. */
  readonly royaltyBps: number;
  readonly referrerBps: number;
  readonly splits: readonly { readonly account: string; readonly bps: number }[];
  /** Whose pages may show it: `none`, `anybody`, or names. */
  readonly embedding: string | readonly string[];
  /** `none` or `anybody`. */
  readonly comments: string;
  /** Paths to which the site's visitors come back from an issuer, signed in and signed out. Without it nobody signs in to it. */
  readonly signIn?: { readonly redirects: readonly string[]; readonly signedOut: readonly string[] };
  /** UNIX seconds. */
  readonly created: number;
  /** CID of the manifest, and the owner's signature in hex. */
  readonly cid: string;
  readonly signature: string;
}

/**
 * The manifest of a name; undefined where it has none.
 * @throws RelaymintError NAME_UNKNOWN, EMBEDDING_REFUSED and whatever else the gateway says; CONNECTION_LOST; ABORTED.
 */
export async function readManifest(client: Client, options: NameOptions = {}): Promise<SiteManifest | undefined> {
  const question = { path: '/.well-known/relaymint/manifest.json', accept: 'application/json' };
  try {
    return (await asked(client, options, question, jsonOf)) as SiteManifest;
  } catch (error) {
    if (error instanceof RelaymintError && error.code === 'CONTENT_NOT_FOUND' && error.details['status'] === 404)
      return undefined;
    throw error;
  }
}
