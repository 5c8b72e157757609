/** The node key: an Ed25519 key that is the node's name, signs its offers and authenticates its links. */
import { randomBytes, sign, verify, type KeyObject } from 'node:crypto';
import { nodeId, type NodeId } from '../../core/ids.ts';
import { ED25519 } from './der.ts';

export const SEED_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/** Who this node is. Dispose it to wipe the seed; signing is impossible afterwards. */
export interface NodeIdentity extends Disposable {
  readonly nodeId: NodeId;
  /** Raw Ed25519 public key, 32 bytes: the bytes of the node id. */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
  /** PKCS8 DER, 48 bytes, in a fresh buffer: the caller wipes it. */
  exportKey(): Buffer;
  sign(message: Uint8Array): Uint8Array;
}

/**
 * Copies the seed; the caller wipes its own.
 * @throws TypeError unless the seed has 32 bytes.
 */
export function identityFromSeed(seed: Uint8Array): NodeIdentity {
  const pkcs8 = ED25519.pkcs8(seed);
  const privateKey = ED25519.privateKey(seed);
  const publicKey = ED25519.rawPublic(privateKey);
  let disposed = false;
  const alive = (): void => {
    if (disposed) throw new TypeError('this node identity was disposed');
  };
  return {
    nodeId: nodeId(publicKey),
    publicKey,
    get privateKey() {
      alive();
      return privateKey;
    },
    exportKey() {
      alive();
      return Buffer.from(pkcs8);
    },
    sign(message) {
      alive();
      return new Uint8Array(sign(null, message, privateKey));
    },
    [Symbol.dispose]() {
      disposed = true;
      pkcs8.fill(0);
    },
  };
}

/** A new random key that is stored nowhere. */
export function newIdentity(): NodeIdentity {
  const seed = randomBytes(SEED_BYTES);
  try {
    return identityFromSeed(seed);
  } finally {
    seed.fill(0);
  }
}

/** False for a wrong signature and for a key that is not a point on the curve. @throws TypeError unless the key has 32 bytes. */
export function verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return verify(null, message, ED25519.publicKey(publicKey), signature);
}
