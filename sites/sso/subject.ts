/** Who signed in, and as whom each site knows them. */
import { createHmac } from 'node:crypto';
import { RelaymintError } from '../../core/errors.ts';
import { ledgerAddress, type LedgerAddress } from '../../core/ids.ts';
import { parseName } from '../../core/name.ts';
import type { NameHolding } from './contract.ts';

/**
 * A wallet by itself, or a profile that a wallet speaks for. A profile is its name in one tenure in one hand: whoever gets the name later is
 * somebody else. Who gets it back with the recovery key is the same person, but has to sign in again: the wallet before may be anybody's.
 */
export interface Account {
  readonly wallet: LedgerAddress;
  readonly profile?: ProfileTenure | undefined;
}

export interface ProfileTenure {
  readonly name: string;
  readonly registeredAt: bigint;
  readonly transfers: number;
  readonly owner: LedgerAddress;
}

const SEPARATOR = '/';

/** As sessions and grants keep it. */
export function accountId({ wallet, profile }: Account): string {
  if (profile === undefined) return ['wallet', wallet].join(SEPARATOR);
  const { name, registeredAt, transfers, owner } = profile;
  return ['profile', name, String(registeredAt), String(transfers), owner, wallet].join(SEPARATOR);
}

/** undefined: nobody's that this issuer signed in. */
export function parseAccountId(text: string): Account | undefined {
  const [kind, ...parts] = text.split(SEPARATOR);
  try {
    if (kind === 'wallet' && parts.length === 1) return { wallet: ledgerAddress(parts[0] ?? '') };
    if (kind !== 'profile' || parts.length !== 5) return undefined;
    const [name = '', registeredAt = '', transfers = '', owner = '', wallet = ''] = parts;
    return {
      wallet: ledgerAddress(wallet),
      profile: {
        name: parseName(name).name,
        registeredAt: BigInt(registeredAt),
        transfers: Number(BigInt(transfers)),
        owner: ledgerAddress(owner),
      },
    };
  } catch (error) {
    if (error instanceof RelaymintError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** True while the name is still what the account was made of. */
export function isHeld(tenure: ProfileTenure, holding: NameHolding | undefined): holding is NameHolding {
  return (
    holding !== undefined &&
    holding.isActive &&
    holding.registeredAt === tenure.registeredAt &&
    holding.transfers === tenure.transfers &&
    holding.owner === tenure.owner
  );
}

/** Sites that know a person as the same subject. */
export type Sector = string;

/** Of a site by its name: whatever address its visitors came by. A name that was registered anew, or given away, is another site. */
export function nameSector({
  name,
  registeredAt,
  transfers,
}: Pick<NameHolding, 'name' | 'registeredAt' | 'transfers'>): Sector {
  return `name:${name}:${registeredAt}:${transfers}`;
}

/** Of other sites: the host that all their addresses have, under any port. @throws RelaymintError INVALID_ARGUMENT when that is no single one. */
export function hostSector(redirectUris: readonly string[]): Sector {
  const hosts = new Set(redirectUris.map((uri) => new URL(uri).hostname));
  const [host, ...others] = [...hosts];
  if (host === undefined || host === '' || others.length > 0) {
    throw new RelaymintError('INVALID_ARGUMENT', 'The addresses of this client are at several hosts.', {
      remedy: 'Register a client for each host.',
    });
  }
  return `host:${host}`;
}

/** Of programs on their visitors' machines, which have no host that is theirs alone. */
export function clientSector(clientId: string): Sector {
  return `client:${clientId}`;
}

/** Pairwise (OpenID Connect Core 8.1): two sites cannot find out from it that they have the same visitor. */
export function subjectOf(secret: Uint8Array, sector: Sector, account: Account): string {
  const { profile, wallet } = account;
  const who =
    profile === undefined
      ? ['wallet', wallet]
      : ['profile', profile.name, String(profile.registeredAt), String(profile.transfers)];
  return createHmac('sha256', secret)
    .update(JSON.stringify(['relaymint:subject:v2', sector, ...who]))
    .digest('base64url');
}
