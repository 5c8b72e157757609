/** Keys of the curve P-256, which every browser takes in a certificate; Ed25519 hardly any does. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

const CURVE = 'prime256v1';

export function createP256(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: CURVE }).privateKey;
}

/** The key in a file of PEM, beside which other things may stand; undefined when there is none of this curve. */
export function p256In(pem: Buffer): KeyObject | undefined {
  try {
    const key = createPrivateKey({ key: pem, format: 'pem' });
    return key.asymmetricKeyDetails?.namedCurve === CURVE ? key : undefined;
  } catch {
    return undefined;
  }
}

/** PKCS8 DER, which the caller wipes. */
export function p256Secret(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'pkcs8' });
}

/** SubjectPublicKeyInfo, DER. */
export function p256Public(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: 'der', type: 'spki' });
}

/** ECDSA with SHA-256, DER, as certificates have it. */
export function p256Sign(key: KeyObject, content: Uint8Array): Buffer {
  return sign('sha256', content, key);
}
