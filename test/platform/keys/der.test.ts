import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ED25519, X25519, type Curve } from '../../../platform/keys/der.ts';

describe.each<[string, Curve, Curve, () => KeyPairKeyObjectResult]>([
  ['Ed25519', ED25519, X25519, () => generateKeyPairSync('ed25519')],
  ['X25519', X25519, ED25519, () => generateKeyPairSync('x25519')],
])('keys of %s', (_title, curve, other, generate) => {
  const { privateKey, publicKey } = generate();
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });

  it('are written as Node writes them', () => {
    expect(curve.pkcs8(curve.rawPrivate(privateKey))).toEqual(pkcs8);
    expect(curve.spki(curve.rawPublic(publicKey))).toEqual(spki);
    expect(curve.rawPublic(privateKey)).toEqual(curve.rawPublic(publicKey));
  });

  it('are read back as the keys they were', () => {
    expect(curve.privateKey(curve.rawPrivate(privateKey)).equals(privateKey)).toBe(true);
    expect(curve.publicKey(curve.rawPublic(publicKey)).equals(publicKey)).toBe(true);
  });

  it('are found in DER, unless they have another kind or length', () => {
    expect(curve.secretIn(pkcs8)).toEqual(pkcs8.subarray(-32));
    expect(other.secretIn(pkcs8)).toBeUndefined();
    for (const wrong of [pkcs8.subarray(1), pkcs8.subarray(0, 47), Buffer.concat([pkcs8, Buffer.alloc(1)]), spki]) {
      expect(curve.secretIn(wrong)).toBeUndefined();
    }
  });

  it('are taken in one length, and only of their own curve', () => {
    for (const length of [0, 31, 33]) {
      expect(() => curve.privateKey(new Uint8Array(length))).toThrow(TypeError);
      expect(() => curve.publicKey(new Uint8Array(length))).toThrow(TypeError);
    }
    expect(() => other.rawPublic(publicKey)).toThrow(TypeError);
    expect(() => other.rawPrivate(privateKey)).toThrow(TypeError);
  });
});

it('the examples of RFC 8410 are read', () => {
  const secret = createPrivateKey(
    '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n',
  );
  const known = createPublicKey(
    '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n',
  );
  expect(ED25519.rawPublic(ED25519.privateKey(ED25519.rawPrivate(secret)))).toEqual(ED25519.rawPublic(known));
});
