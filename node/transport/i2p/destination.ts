/** I2P destinations: a pair of keys, known to others by the hash of its public part. */
import { createHash } from 'node:crypto';
import { base32 } from 'multiformats/bases/base32';
import { assertNotAborted } from '../../../core/abort.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { createSecret, readSecret, type SecretFile } from '../../../platform/keys/secret-file.ts';
import type { Endpoint } from '../endpoint.ts';
import { generateKeys } from './sam.ts';

/** 256 bytes of encryption key and 128 of signing key and padding, then a certificate: type u8, length u16, body. */
const KEYS_BYTES = 384;
const CERTIFICATE_HEAD_BYTES = 3;
/** A private key is some hundred bytes; anything longer is not one. */
const MAX_KEY_CHARACTERS = 8192;

/** Where a node is reached over I2P. Dispose it to forget its private key. */
export interface I2pDestination extends Disposable {
  /** The 52 characters before ".b32.i2p". */
  readonly garlic: string;
  /** As SAM takes it: I2P's base64. A secret. @throws TypeError after disposal. */
  readonly privateKey: string;
}

/** @throws RelaymintError INVALID_ENCODING. */
export function readDestination(privateKey: string): I2pDestination {
  if (privateKey.length > MAX_KEY_CHARACTERS || !/^[A-Za-z0-9~-]+=*$/.test(privateKey)) throw malformed();
  const bytes = Buffer.from(privateKey.replaceAll('-', '+').replaceAll('~', '/'), 'base64');
  if (bytes.length < KEYS_BYTES + CERTIFICATE_HEAD_BYTES) throw malformed();
  const end = KEYS_BYTES + CERTIFICATE_HEAD_BYTES + bytes.readUInt16BE(KEYS_BYTES + 1);
  if (bytes.length <= end) throw malformed();
  const garlic = garlicOf(bytes.subarray(0, end));
  bytes.fill(0);
  let key: string | undefined = privateKey;
  return {
    garlic,
    get privateKey() {
      if (key === undefined) throw new TypeError('this I2P destination was disposed');
      return key;
    },
    [Symbol.dispose]() {
      key = undefined;
    },
  };
}

/** The 52 characters of a public destination, binary. */
export function garlicOf(destination: Uint8Array): string {
  return base32.encode(createHash('sha256').update(destination).digest()).slice(1);
}

/** The 52 characters of a public destination as SAM writes it. */
export function garlicOfText(destination: string): string {
  return garlicOf(Buffer.from(destination.replaceAll('-', '+').replaceAll('~', '/'), 'base64'));
}

/** A new one that is kept nowhere. @throws RelaymintError I2P_NOT_RUNNING, I2P_FAILED, TIMEOUT, ABORTED. */
export async function transientDestination(sam: Endpoint, signal: AbortSignal): Promise<I2pDestination> {
  return readDestination(await generateKeys(sam, signal));
}

/**
 * The destination of a file, which is made (mode 0600, by the router behind `sam`) when there is none.
 * @throws RelaymintError KEY_FILE_UNSAFE, INVALID_ENCODING, STORAGE_FAILED, and as `transientDestination`.
 */
export async function persistentDestination(file: string, sam: Endpoint, signal: AbortSignal): Promise<I2pDestination> {
  const secret: SecretFile = { path: file, what: 'I2P key', makesFolder: true };
  assertNotAborted(signal, 'Making an I2P destination');
  const known = await readSecret(secret, MAX_KEY_CHARACTERS);
  if (known !== undefined) return readDestination(known.toString('latin1').trim());
  const privateKey = await generateKeys(sam, signal);
  const destination = readDestination(privateKey);
  try {
    await createSecret(secret, `${privateKey}\n`);
  } catch (cause) {
    destination[Symbol.dispose]();
    throw cause;
  }
  return destination;
}

function malformed(): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', 'This is not the private key of an I2P destination.', {
    remedy: 'It is one line of base64, as SAM writes it.',
  });
}
