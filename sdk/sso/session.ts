/** Who is signed in, as this tab remembers it. Nothing of it leaves the page's own origin. */
import { RelaymintError } from '../../core/errors.ts';
import type { Client } from '../client.ts';

/** What the issuer says of a person: what was asked for, and allowed. */
export interface Claims {
  readonly preferred_username?: string;
  readonly name?: string;
  /** The name of an image. */
  readonly picture?: string;
  readonly website?: string;
  readonly updated_at?: number;
  readonly wallet_address?: string;
  readonly wallet_did?: string;
  readonly posts_author?: string;
  readonly posts_payout?: string;
  readonly [claim: string]: unknown;
}

export interface Session {
  /** A number for this person that no other site gets. */
  readonly subject: string;
  readonly claims: Claims;
  readonly issuer: string;
  /** UNIX milliseconds: for how long the issuer's word counts. */
  readonly expires: number;
  /** For the issuer's userinfo. */
  readonly accessToken?: string;
}

/** With what only signing out needs. */
export interface KeptSession extends Session {
  readonly idToken: string;
}

/** What waits for somebody to come back. */
export interface Pending {
  readonly issuer: string;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly redirect: string;
  readonly returnTo: string;
}

type Kept = 'session' | 'pending';

/** Who is signed in in this tab. undefined: nobody, or it is over; also where there is no page. */
export function session(client: Client): Session | undefined {
  const kept = keptSession(client);
  if (kept === undefined) return undefined;
  const { idToken: _idToken, ...told } = kept;
  return told;
}

export function keptSession(client: Client): KeptSession | undefined {
  const kept = recall(client, 'session') as KeptSession | undefined;
  if (kept === undefined || kept.expires > Date.now()) return kept;
  forget(client, 'session');
  return undefined;
}

/** @throws RelaymintError SIGN_IN_REFUSED: the browser keeps nothing for this page. */
export function keep(client: Client, what: Kept, value: KeptSession | Pending): void {
  try {
    sessionStorage.setItem(keyOf(client, what), JSON.stringify(value));
  } catch (cause) {
    throw new RelaymintError('SIGN_IN_REFUSED', 'This browser keeps nothing for this page.', {
      remedy: 'Let it keep data of this site, then sign in again.',
      cause,
    });
  }
}

export function recall(client: Client, what: Kept): unknown {
  try {
    return JSON.parse(sessionStorage.getItem(keyOf(client, what)) ?? '') as unknown;
  } catch {
    return undefined;
  }
}

export function forget(client: Client, what: Kept): void {
  try {
    sessionStorage.removeItem(keyOf(client, what));
  } catch {
    // It keeps nothing.
  }
}

function keyOf({ name }: Client, what: Kept): string {
  return `relaymint:${what}:${name}`;
}
