/** An ID token, believed once all that makes it ours was checked: who signed it, for whom, and for which request. */
import { RelaymintError } from '../../core/errors.ts';
import { refused } from './issuer.ts';

export interface Expected {
  readonly issuer: string;
  readonly clientId: string;
  readonly nonce: string;
  /** UNIX milliseconds. */
  readonly now: number;
}

export interface VerifiedClaims {
  readonly sub: string;
  /** UNIX seconds. */
  readonly exp: number;
  readonly [claim: string]: unknown;
}

interface Jwk extends JsonWebKey {
  readonly kid?: string;
}

const MAX_CHARACTERS = 32_768;
/** Clocks of a visitor and of an issuer, milliseconds apart. */
const SKEW_MILLIS = 5 * 60_000;
/** What it may be signed with: `none` and shared secrets are not. */
const ALGORITHMS = {
  RS256: { kty: 'RSA', key: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } },
  EdDSA: { kty: 'OKP', key: { name: 'Ed25519' } },
} as const;

/** @throws RelaymintError SIGN_IN_REFUSED. */
export async function verifyIdToken(token: unknown, keys: unknown, expected: Expected): Promise<VerifiedClaims> {
  try {
    return await verified(String(token), keys as { readonly keys: readonly Jwk[] }, expected);
  } catch (error) {
    if (error instanceof RelaymintError) throw error;
    throw refused('The ID token cannot be read.');
  }
}

async function verified(
  token: string,
  { keys }: { readonly keys: readonly Jwk[] },
  { issuer, clientId, nonce, now }: Expected,
): Promise<VerifiedClaims> {
  const [head = '', body = '', signature = '', ...more] = token.split('.');
  if (token.length > MAX_CHARACTERS || more.length > 0) throw refused('The ID token cannot be read.');
  const { alg, kid, crit } = objectIn(head) as { readonly alg: string; readonly kid?: string; readonly crit?: unknown };
  const algorithm = Object.hasOwn(ALGORITHMS, alg) ? ALGORITHMS[alg as keyof typeof ALGORITHMS] : undefined;
  const jwk = keys.find((one) => one.kid === kid && one.kty === algorithm?.kty);
  if (algorithm === undefined || jwk === undefined || crit !== undefined)
    throw refused('The ID token is not signed by the issuer.');
  const key = await crypto.subtle.importKey(
    'jwk',
    { kty: jwk.kty, n: jwk.n, e: jwk.e, crv: jwk.crv, x: jwk.x } as JsonWebKey,
    algorithm.key,
    false,
    ['verify'],
  );
  const signed = new TextEncoder().encode(`${head}.${body}`);
  if (!(await crypto.subtle.verify(algorithm.key.name, key, bytesIn(signature), signed))) {
    throw refused('The ID token is not signed by the issuer.');
  }
  const claims = objectIn(body) as { readonly [claim: string]: unknown };
  const { iss, aud, exp, iat, sub, azp } = claims;
  // A token for several could be another's that was handed on.
  const isOurs = iss === issuer && (Array.isArray(aud) ? aud.length === 1 && aud[0] === clientId : aud === clientId);
  if (!isOurs || (azp !== undefined && azp !== clientId))
    throw refused('The ID token is for another site, or of another issuer.');
  if (claims['nonce'] !== nonce) throw refused('The ID token is for another sign-in.');
  if (typeof exp !== 'number' || exp * 1000 <= now || typeof iat !== 'number' || iat * 1000 > now + SKEW_MILLIS) {
    throw refused('The ID token is not of this time.', 'Check the clock of this machine, then sign in again.');
  }
  if (typeof sub !== 'string' || sub === '') throw refused('The ID token says nothing of who it is.');
  return { ...claims, sub, exp };
}

function objectIn(part: string): object {
  const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytesIn(part)));
  if (typeof value !== 'object' || value === null) throw new TypeError('no object');
  return value;
}

function bytesIn(part: string): Uint8Array<ArrayBuffer> {
  if (!/^[\w-]*$/.test(part)) throw new TypeError('no base64url');
  const text = atob(part.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
