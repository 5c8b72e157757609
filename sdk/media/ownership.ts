/** What the manifest of a name says of an address below it. */
import { RelaymintError } from '../../core/errors.ts';
import { addressOf, nameAt, type Client, type Options } from '../client.ts';
import { readManifest, type SiteManifest } from '../terms.ts';

/** As a gateway verified it: signed by who has the name. Its words are anybody's: draw them with `textContent`. */
export interface Ownership {
  /** The name that the address belongs to: `dawn.image`. */
  readonly name: string;
  /** Wallet address. */
  readonly owner: string;
  readonly creator: string;
  readonly title: string | undefined;
  readonly copyright: string | undefined;
  /** Without it nothing is permitted beyond looking at it. */
  readonly licence: SiteManifest['licence'];
  /** Credits per MiB that the owner asks hosts to sell it for, as decimals. */
  readonly price: string | undefined;
  /** The owner's share of what hosts earn with it, parts of 10,000. */
  readonly royaltyBps: number;
  /** What of that goes to the name whose page shows it, parts of 10,000. */
  readonly referrerBps: number;
  /** Who gets the royalty. */
  readonly splits: SiteManifest['splits'];
  /** Whose pages may show it: `none`, `anybody`, or names. */
  readonly embedding: SiteManifest['embedding'];
}

/**
 * Whose it is what an address leads to; undefined where the name's owner says nothing.
 * @param url of anything at the client's gateway, such as the `src` of an image; a path is one of the client's own name
 * @throws RelaymintError INVALID_ARGUMENT for an address elsewhere, and as `readManifest`.
 */
export async function ownership(
  client: Client,
  url: string | URL,
  options: Options = {},
): Promise<Ownership | undefined> {
  const name = nameOf(client, url);
  const manifest = await readManifest(client, { ...options, name });
  if (manifest === undefined) return undefined;
  const { owner, creator, title, copyright, licence, price, royaltyBps, referrerBps, splits, embedding } = manifest;
  return { name, owner, creator, title, copyright, licence, price, royaltyBps, referrerBps, splits, embedding };
}

/** Who has another gateway, or a host that is none, could call anything by any name. */
function nameOf(client: Client, url: string | URL): string {
  const at = URL.canParse(url, client.origin) ? new URL(url, client.origin) : undefined;
  const name = at && nameAt(at);
  if (name !== undefined && new URL(addressOf(client, name)).origin === at?.origin) return name;
  throw new RelaymintError(
    'INVALID_ARGUMENT',
    `${String(url).slice(0, 200)} is no address of a name at ${client.origin}.`,
    {
      remedy: 'Give the address of something below a name, as addressOf makes them.',
    },
  );
}
