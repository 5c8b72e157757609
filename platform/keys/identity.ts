/** The node key: an Ed25519 key that is the node's name, signs its offers and authenticates its links. */
import { createPrivateKey, createPublicKey, randomBytes, sign, verify, type KeyObject } from 'node:crypto';
import { KEY_BYTES, nodeId, type NodeId } from '../../core/ids.ts';

/** PKCS8 of an Ed25519 key up to its 32-byte seed (RFC 8410). */
export const PKCS8_PREFIX: Uint8Array = Uint8Array.from(Buffer.from('302e020100300506032b657004220420', 'hex'));
/** SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

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
 * @throws TypeError when the seed has not 32 bytes.
 */
export function identityFromSeed(seed: Uint8Array): NodeIdentity {
  if (seed.length !== SEED_BYTES) throw new TypeError(`a node key seed has ${SEED_BYTES} bytes, got ${seed.length}`);
  const pkcs8 = Buffer.concat([PKCS8_PREFIX, seed]);
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const publicKey = rawPublicKey(createPublicKey(privateKey));
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

/** A key that was never used, and is kept nowhere. */
export function newIdentity(): NodeIdentity {
  const seed = randomBytes(SEED_BYTES);
  try {
    return identityFromSeed(seed);
  } finally {
    seed.fill(0);
  }
}

/** The 32 raw bytes of an Ed25519 public key. @throws TypeError for any other kind of key. */
export function rawPublicKey(key: KeyObject): Uint8Array {
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('not an Ed25519 key');
  const der = key.export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(SPKI_PREFIX.length));
}

/** False for a wrong signature and for a key that is no point of the curve. @throws TypeError when the key has not 32 bytes. */
export function verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== KEY_BYTES) throw new TypeError(`an Ed25519 key has ${KEY_BYTES} bytes`);
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
}
