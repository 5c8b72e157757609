/** Who somebody is under a `.sso` name. */
import { RelaymintError } from '../../core/errors.ts';
import { parseName } from '../../core/name.ts';
import { askedAt, jsonOf, type Client, type Options } from '../client.ts';

/** As its owner signed it and the gateway verified it. All of it is public, and text of theirs. */
export interface Profile {
  readonly name: string;
  readonly displayName: string;
  readonly about?: string;
  /** The name of an image. */
  readonly avatar?: string;
  readonly links: readonly { readonly label: string; readonly to: string }[];
  /** Wallet addresses. */
  readonly owner: string;
  readonly payout: string;
  readonly wallets: readonly string[];
  readonly messagingKey?: string;
  /** When this owner's tenure began, UNIX seconds: with the name it says who it is. */
  readonly tenure: number;
  readonly sequence: number;
}

/**
 * The profile of a name; undefined where it has none.
 * @throws RelaymintError NAME_INVALID, LIMIT_EXCEEDED and whatever else the gateway says; CONNECTION_LOST; ABORTED.
 */
export async function profile(client: Client, name: string, options: Options = {}): Promise<Profile | undefined> {
  const url = `${client.origin}/.relaymint/profile/${parseName(name).name}`;
  try {
    return (await askedAt(client, url, options, 'application/json', jsonOf)) as Profile;
  } catch (error) {
    if (error instanceof RelaymintError && error.code === 'CONTENT_NOT_FOUND' && error.details['status'] === 404)
      return undefined;
    throw error;
  }
}
