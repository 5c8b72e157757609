/** The keys of onion services, in the form that tor takes, and the keys that name a private service's clients. */
import { createHash, generateKeyPairSync, hkdfSync, randomBytes } from 'node:crypto';
import { base32upper } from 'multiformats/bases/base32';
import { ED25519, X25519 } from '../../../platform/keys/der.ts';
import { SEED_BYTES } from '../../../platform/keys/identity.ts';
import { onionOf } from './address.ts';

/** With another text the addresses of all nodes would change. */
const DERIVATION = 'relaymint:onion-service-key:v1';

/** The key of one onion service. Dispose it to wipe its secret; it cannot be published afterwards. */
export interface OnionKey extends Disposable {
  /** The 56 characters before ".onion". */
  readonly onion: string;
  readonly publicKey: Uint8Array;
  /** 64 bytes: the scalar and the prefix that tor signs with. A secret. @throws TypeError after disposal. */
  readonly expanded: Uint8Array;
}

/** What lets a client into a private service (x25519, raw, 32 bytes each). The service knows the public half. */
export interface ClientKey {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

/**
 * An Ed25519 seed as tor takes it: SHA-512 of the seed, its first half clamped into a scalar (RFC 8032, section 5.1.5).
 * The caller wipes it. @throws TypeError when the seed has not 32 bytes.
 */
export function expandOnionKey(seed: Uint8Array): Uint8Array {
  if (seed.length !== SEED_BYTES) throw new TypeError(`a key seed has ${SEED_BYTES} bytes, got ${seed.length}`);
  const expanded = createHash('sha512').update(seed).digest();
  expanded.writeUInt8(expanded.readUInt8(0) & 0b1111_1000, 0);
  expanded.writeUInt8((expanded.readUInt8(31) & 0b0011_1111) | 0b0100_0000, 31);
  return expanded;
}

/** The onion key of a seed, 32 bytes, which the caller wipes. */
export function onionKeyFromSeed(seed: Uint8Array): OnionKey {
  const expanded = expandOnionKey(seed);
  const publicKey = ED25519.rawPublic(ED25519.privateKey(seed));
  let disposed = false;
  return {
    onion: onionOf(publicKey),
    publicKey,
    get expanded() {
      if (disposed) throw new TypeError('this onion key was disposed');
      return expanded;
    },
    [Symbol.dispose]() {
      disposed = true;
      expanded.fill(0);
    },
  };
}

/**
 * A node's onion key: derived from the node key, so that the address is known before tor runs and stays the same; the
 * node key cannot be computed from it, because tor gets it.
 */
export function onionKeyOf(identity: { exportKey(): Buffer }): OnionKey {
  const pkcs8 = identity.exportKey();
  const seed = new Uint8Array(hkdfSync('sha256', pkcs8.subarray(-SEED_BYTES), '', DERIVATION, SEED_BYTES));
  try {
    return onionKeyFromSeed(seed);
  } finally {
    pkcs8.fill(0);
    seed.fill(0);
  }
}

/** A new key that is stored nowhere: its address ends with the process. */
export function ephemeralOnionKey(): OnionKey {
  const seed = randomBytes(SEED_BYTES);
  try {
    return onionKeyFromSeed(seed);
  } finally {
    seed.fill(0);
  }
}

/** A new pair for client authorization. */
export function createClientKey(): ClientKey {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return { publicKey: X25519.rawPublic(publicKey), privateKey: X25519.rawPrivate(privateKey) };
}

/** A client's public key as tor reads it in ClientAuthV3: base32 without padding. */
export function clientKeyText(publicKey: Uint8Array): string {
  if (publicKey.length !== SEED_BYTES) throw new TypeError(`a client key has ${SEED_BYTES} bytes`);
  return base32upper.encode(publicKey).slice(1);
}
