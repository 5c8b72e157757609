/** Keys that sign tokens, as JSON Web Keys (RFC 7517). */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { utf8 } from '../../core/codec.ts';

const RSA_BITS = 2048;
const KID_BYTES = 12;

/** A private key. */
export type PrivateJwk = Readonly<Record<string, string>> & { readonly kid: string };

/** RS256 is what every client knows. */
export function createSigningJwk(alg: 'RS256' | 'EdDSA'): PrivateJwk {
  const { privateKey } =
    alg === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: RSA_BITS }) : generateKeyPairSync('ed25519');
  const members = Object.entries(privateKey.export({ format: 'jwk' })).map(([name, value]) => [name, String(value)]);
  const kid = randomBytes(KID_BYTES).toString('base64url');
  return { ...(Object.fromEntries(members) as Record<string, string>), kid, alg, use: 'sig' };
}

/**
 * False for a key of which a part is wrong, which is still read as one: every token of it would be refused by whoever checks it.
 * Throws what node:crypto throws when it is no key at all.
 */
export function signsAndVerifies(jwk: PrivateJwk): boolean {
  const [key, hash] = [createPrivateKey({ key: jwk, format: 'jwk' }), jwk['alg'] === 'EdDSA' ? undefined : 'sha256'];
  const probe = utf8('is this a key');
  return verify(hash, probe, createPublicKey({ key: jwk, format: 'jwk' }), sign(hash, probe, key));
}
