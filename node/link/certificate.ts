/**
 * A node key as TLS wants it: a self-signed X.509 certificate and a PEM key. Nobody reads anything but the public key out
 * of the certificate, so everything else is the same for all nodes and for ever.
 */
import { ED25519 } from '../../platform/keys/der.ts';
import type { NodeIdentity } from '../../platform/keys/identity.ts';

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const VERSION_TAG = 0xa0;
const OID_COMMON_NAME = Buffer.from('0603550403', 'hex');

/** DER of the certificate. Deterministic: Ed25519 signatures are. */
export function selfSigned(identity: NodeIdentity): Buffer {
  const { algorithm } = ED25519;
  const name = der(
    SEQUENCE,
    der(SET, der(SEQUENCE, OID_COMMON_NAME, der(UTF8_STRING, Buffer.from('relaymint', 'latin1')))),
  );
  const validity = der(
    SEQUENCE,
    der(UTC_TIME, Buffer.from('700101000000Z', 'latin1')),
    der(GENERALIZED_TIME, Buffer.from('99991231235959Z', 'latin1')),
  );
  const publicKey = ED25519.spki(identity.publicKey);
  const version = der(VERSION_TAG, der(INTEGER, Buffer.of(2)));
  const serial = der(INTEGER, Buffer.of(1));
  const body = der(SEQUENCE, version, serial, algorithm, name, validity, name, publicKey);
  return der(SEQUENCE, body, algorithm, bitString(identity.sign(body)));
}

function bitString(content: Uint8Array): Buffer {
  return der(BIT_STRING, Buffer.of(0), content);
}

function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const header =
    length < 128
      ? Buffer.of(tag, length)
      : length < 256
        ? Buffer.of(tag, 0x81, length)
        : Buffer.of(tag, 0x82, length >> 8, length & 255);
  return Buffer.concat([header, content]);
}
