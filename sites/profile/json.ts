/** A verified profile as programs read it: at a gateway, and from the command line. All of it is public. */
import { z } from 'zod';
import { toHex } from '../../core/codec.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import type { Profile, ProfileLink } from './contract.ts';

export interface ProfileJson {
  readonly name: string;
  readonly displayName: string;
  readonly about?: string;
  /** An `.image` name. */
  readonly avatar?: string;
  readonly links: readonly ProfileLink[];
  readonly owner: string;
  /** Whom to pay: the owner, unless the profile says another. */
  readonly payout: string;
  /** All that are this person's: the owner first, then those that said so themselves. */
  readonly wallets: readonly string[];
  /** X25519, hex. */
  readonly messagingKey?: string;
  /** When the name was registered, UNIX seconds. Name and tenure together are one person's; the name alone may be others' one day. */
  readonly tenure: number;
  /** Milliseconds; of two, the higher one counts. */
  readonly sequence: number;
}

export const profileJsonSchema: z.ZodType<ProfileJson> = z.strictObject({
  name: z.string(),
  displayName: z.string(),
  about: z.string().exactOptional(),
  avatar: z.string().exactOptional(),
  links: z.array(z.strictObject({ label: z.string(), to: z.string() })),
  owner: z.string(),
  payout: z.string(),
  wallets: z.array(z.string()).min(1),
  messagingKey: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .exactOptional(),
  tenure: z.int(),
  sequence: z.int(),
});

export function profileJson(profile: Profile): ProfileJson {
  const { name, displayName, about, avatar, links, owner, messagingKey, tenure, sequence } = profile;
  return {
    name,
    displayName,
    ...(about !== undefined && { about }),
    ...(avatar !== undefined && { avatar }),
    links: links.map(({ label, to }) => ({ label, to })),
    owner,
    payout: payoutOf(profile),
    wallets: walletsOf(profile),
    ...(messagingKey !== undefined && { messagingKey: toHex(messagingKey) }),
    tenure: Number(tenure),
    sequence,
  };
}

export function payoutOf({ payout, owner }: Pick<Profile, 'payout' | 'owner'>): LedgerAddress {
  return payout ?? owner;
}

/** All that are this person's, the owner first. */
export function walletsOf({ owner, wallets }: Pick<Profile, 'owner' | 'wallets'>): readonly LedgerAddress[] {
  return [owner, ...wallets.map(({ wallet }) => wallet)];
}
