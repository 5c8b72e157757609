import { createPrivateKey, createPublicKey, diffieHellman, randomBytes } from 'node:crypto';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { base32upper } from 'multiformats/bases/base32';
import { describe, expect, it } from 'vitest';
import { identityFromSeed } from '../../../../platform/keys/identity.ts';
import { onionOf } from '../../../../node/transport/tor/address.ts';
import {
  clientKeyText,
  createClientKey,
  ephemeralOnionKey,
  expandOnionKey,
  onionKeyFromSeed,
  onionKeyOf,
} from '../../../../node/transport/tor/key.ts';

/** What an independent implementation makes of the scalar that tor is given. */
function publicKeyOfExpanded(expanded: Uint8Array): Uint8Array {
  const scalar = BigInt(`0x${Buffer.from(expanded.subarray(0, 32).toReversed()).toString('hex')}`);
  return ed25519.Point.BASE.multiply(scalar % ed25519.Point.Fn.ORDER).toBytes();
}

describe('onion keys', () => {
  it('expand to a scalar of the same public key', () => {
    for (let round = 0; round < 20; round += 1) {
      const seed = randomBytes(32);
      const expanded = expandOnionKey(seed);
      expect(expanded).toHaveLength(64);
      expect((expanded[0] as number) & 7).toBe(0);
      expect((expanded[31] as number) & 0xc0).toBe(0x40);
      expect(Buffer.from(publicKeyOfExpanded(expanded))).toEqual(Buffer.from(ed25519.getPublicKey(seed)));
    }
  });

  it('of a node are derived one-way from its node key, and are not that key', () => {
    const seed = randomBytes(32);
    using identity = identityFromSeed(seed);
    using key = onionKeyOf(identity);
    using again = onionKeyOf(identity);
    expect(again.onion).toBe(key.onion);
    expect(key.onion).not.toBe(onionOf(identity.publicKey));
    expect(Buffer.from(key.expanded)).not.toEqual(Buffer.from(expandOnionKey(seed)));
    const derived = hkdf(sha256, seed, undefined, utf8ToBytes('relaymint:onion-service-key:v1'), 32);
    expect(Buffer.from(key.publicKey)).toEqual(Buffer.from(ed25519.getPublicKey(derived)));
    expect(Buffer.from(publicKeyOfExpanded(key.expanded))).toEqual(Buffer.from(key.publicKey));
  });

  it('of a node stay the same in every release: no node may lose its address by an update', () => {
    using identity = identityFromSeed(new Uint8Array(32).fill(7));
    using key = onionKeyOf(identity);
    expect(key.onion).toBe('a7zwakgyl4aj32uaa3x4kmzbwjijao5bvtd4jdkrt7av4didk3lqokyd');
  });

  it('wipe their secret when they are disposed', () => {
    const key = onionKeyFromSeed(randomBytes(32));
    const { expanded } = key;
    expect(expanded.some((byte) => byte !== 0)).toBe(true);
    key[Symbol.dispose]();
    expect(expanded.every((byte) => byte === 0)).toBe(true);
    expect(() => key.expanded).toThrow(TypeError);
  });

  it('that are ephemeral differ', () => {
    using one = ephemeralOnionKey();
    using other = ephemeralOnionKey();
    expect(one.onion).not.toBe(other.onion);
  });

  it('take a seed of 32 bytes only', () => {
    expect(() => expandOnionKey(randomBytes(31))).toThrow(TypeError);
    expect(() => clientKeyText(randomBytes(33))).toThrow(TypeError);
  });
});

it('for clients are pairs of x25519', () => {
  const { publicKey, privateKey } = createClientKey();
  expect(Buffer.from(x25519.getPublicKey(privateKey))).toEqual(Buffer.from(publicKey));
  expect(clientKeyText(publicKey)).toMatch(/^[A-Z2-7]{52}$/);
  expect(Buffer.from(base32upper.decode(`B${clientKeyText(publicKey)}`))).toEqual(Buffer.from(publicKey));
  const ours = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), privateKey]),
    format: 'der',
    type: 'pkcs8',
  });
  const shared = diffieHellman({ privateKey: ours, publicKey: createPublicKey(ours) });
  expect(Buffer.from(x25519.getSharedSecret(privateKey, publicKey))).toEqual(shared);
});
