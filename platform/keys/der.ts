/** Raw keys of 32 bytes in the DER that Node takes and gives: a head that is always the same, then the key (RFC 8410). */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { equalBytes } from '../../core/codec.ts';
import { KEY_BYTES } from '../../core/ids.ts';

/** One of the two curves. Secrets and public keys are 32 bytes each; what is returned is a copy unless it says otherwise. */
export class Curve {
  readonly #type: 'ed25519' | 'x25519';
  readonly #privateHead: Buffer;
  readonly #publicHead: Buffer;
  /** The AlgorithmIdentifier, as it stands in keys and certificates. */
  readonly algorithm: Uint8Array;

  /** `oid` is the last byte of the curve's object identifier, 1.3.101.oid. */
  constructor(type: 'ed25519' | 'x25519', oid: number) {
    this.#type = type;
    this.algorithm = Uint8Array.of(0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, oid);
    this.#privateHead = Buffer.from([0x30, 0x2e, 0x02, 0x01, 0x00, ...this.algorithm, 0x04, 0x22, 0x04, 0x20]);
    this.#publicHead = Buffer.from([0x30, 0x2a, ...this.algorithm, 0x03, 0x21, 0x00]);
  }

  /** A secret as PKCS8 DER, 48 bytes, which the caller wipes. @throws TypeError unless it has 32 bytes. */
  pkcs8(secret: Uint8Array): Buffer {
    return Buffer.concat([this.#privateHead, this.#whole(secret, 'secret')]);
  }

  /** The secret in PKCS8 DER, a view; undefined when it is no key of this curve. */
  secretIn(pkcs8: Uint8Array): Uint8Array | undefined {
    const secret = pkcs8.subarray(this.#privateHead.length);
    const isOurs = equalBytes(pkcs8.subarray(0, this.#privateHead.length), this.#privateHead);
    return isOurs && secret.length === KEY_BYTES ? secret : undefined;
  }

  /** Keeps no copy of the secret besides Node's own. @throws TypeError unless it has 32 bytes. */
  privateKey(secret: Uint8Array): KeyObject {
    const key = this.pkcs8(secret);
    try {
      return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
    } finally {
      key.fill(0);
    }
  }

  /** A public key as SubjectPublicKeyInfo, 44 bytes. @throws TypeError unless it has 32 bytes. */
  spki(raw: Uint8Array): Buffer {
    return Buffer.concat([this.#publicHead, this.#whole(raw, 'key')]);
  }

  /** @throws TypeError unless it has 32 bytes; that they are a point of the curve shows when the key is used. */
  publicKey(raw: Uint8Array): KeyObject {
    return createPublicKey({ key: this.spki(raw), format: 'der', type: 'spki' });
  }

  /** The 32 bytes of a public key, or of the public half of a private one. @throws TypeError for any other kind of key. */
  rawPublic(key: KeyObject): Uint8Array {
    this.#ensureOurs(key);
    const own = key.type === 'private' ? createPublicKey(key) : key;
    return new Uint8Array(own.export({ format: 'der', type: 'spki' }).subarray(this.#publicHead.length));
  }

  /** The 32 secret bytes of a private key, which the caller wipes. @throws TypeError for any other kind of key. */
  rawPrivate(key: KeyObject): Uint8Array {
    this.#ensureOurs(key);
    const der = key.export({ format: 'der', type: 'pkcs8' });
    const secret = new Uint8Array(der.subarray(this.#privateHead.length));
    der.fill(0);
    return secret;
  }

  #ensureOurs(key: KeyObject): void {
    if (key.asymmetricKeyType !== this.#type) throw new TypeError(`this key is not of the kind ${this.#type}`);
  }

  #whole(raw: Uint8Array, what: string): Uint8Array {
    if (raw.length === KEY_BYTES) return raw;
    throw new TypeError(`the ${what} of an ${this.#type} pair has ${KEY_BYTES} bytes, got ${raw.length}`);
  }
}

export const ED25519: Curve = new Curve('ed25519', 0x70);
export const X25519: Curve = new Curve('x25519', 0x6e);
