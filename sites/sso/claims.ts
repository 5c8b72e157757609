/** What sites may learn of a person, scope by scope: told to the person before, and to the site after. */
import type { LedgerAddress } from '../../core/ids.ts';
import type { PublicProfile } from './contract.ts';
import type { Account } from './subject.ts';

export type Scope = 'openid' | 'offline_access' | 'profile' | 'wallet' | 'posts';
export const SCOPES: readonly Scope[] = ['openid', 'offline_access', 'profile', 'wallet', 'posts'];

/** As the discovery document and the library know them. */
export const CLAIMS_OF_SCOPES: Readonly<Record<Exclude<Scope, 'offline_access'>, readonly string[]>> = {
  openid: ['sub'],
  profile: ['name', 'preferred_username', 'picture', 'website', 'updated_at'],
  wallet: ['wallet_address', 'wallet_did'],
  posts: ['posts_author', 'posts_payout'],
};

export type Claims = Readonly<Record<string, string | number>>;

export interface Person {
  readonly account: Account;
  /** Of the account's profile name; undefined where it has none. */
  readonly profile: PublicProfile | undefined;
  /** The first 32 characters of the ledger's genesis hash, as CAIP-2 writes it. */
  readonly chain: string;
}

/** Everything that is known of a person under these scopes, and nothing else. */
export function claimsOf({ account, profile, chain }: Person, scopes: Iterable<string>): Claims {
  const asked = new Set(scopes);
  const { wallet } = account;
  return {
    ...(asked.has('profile') && profileClaims(account, profile)),
    ...(asked.has('wallet') && { wallet_address: wallet, wallet_did: didOf(chain, wallet) }),
    ...(asked.has('posts') && postsClaims(account, profile)),
  };
}

function profileClaims({ profile: tenure }: Account, profile: PublicProfile | undefined): Claims {
  if (tenure === undefined) return {};
  const website = profile?.links[0];
  return {
    preferred_username: tenure.name,
    name: profile?.displayName ?? tenure.name,
    ...(profile?.avatar !== undefined && { picture: profile.avatar }),
    ...(website !== undefined && { website }),
    ...(profile !== undefined && { updated_at: Number(profile.updated) }),
  };
}

function postsClaims({ profile: tenure }: Account, profile: PublicProfile | undefined): Claims {
  if (tenure === undefined) return {};
  return { posts_author: tenure.name, posts_payout: profile?.payout ?? tenure.owner };
}

/** did:pkh of a Solana account: https://github.com/w3c-ccg/did-pkh. */
function didOf(chain: string, wallet: LedgerAddress): string {
  return `did:pkh:solana:${chain}:${wallet}`;
}

/** What a person is told that a site learns: a sentence for each claim, with its value. */
export interface Told {
  readonly what: string;
  readonly value: string;
}

const WORDS: Readonly<Record<string, string>> = {
  preferred_username: 'Your profile. Anybody can find on the ledger which wallet has it',
  name: 'The name that your profile shows',
  picture: 'The picture of your profile',
  website: 'The first link of your profile',
  wallet_address: 'The address of your wallet, and so all that the ledger shows of it',
  posts_author: 'The profile under which you post',
  posts_payout: 'The wallet to which your posts pay',
};

/** For the consent page: what is the same for several purposes is told once, with all of them. */
export function tellClaims(person: Person, scopes: Iterable<string>): readonly Told[] {
  const told = new Map<string, string[]>();
  for (const [claim, value] of Object.entries(claimsOf(person, scopes))) {
    const what = WORDS[claim];
    if (what !== undefined) told.set(String(value), [...(told.get(String(value)) ?? []), what]);
  }
  return [...told].map(([value, what]) => ({ what: `${what.join('. ')}.`, value }));
}

const SCOPE_WORDS: Readonly<Partial<Record<string, string>>> = {
  profile: 'your profile',
  wallet: "your wallet's address",
  posts: 'as whom you post',
  offline_access: 'also while you are away',
};

/** For the list of what was allowed. */
export function tellScopes(scopes: readonly string[]): string {
  const words = scopes.flatMap((scope) => SCOPE_WORDS[scope] ?? []);
  return words.length === 0 ? 'only that it is you again' : words.join(', ');
}
