/**
 * Version 3 onion addresses: an Ed25519 public key in writing, so that an address proves who answers (rend-spec-v3,
 * "Encoding onion addresses"). Which node that is, its offer says.
 */
import { createHash } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { base32 } from 'multiformats/bases/base32';
import { RelaymintError } from '../../../core/errors.ts';
import { KEY_BYTES } from '../../../core/ids.ts';

/** public key (32) ‖ checksum (2) ‖ version (1): 35 bytes, 56 characters of base32. */
const ONION_CHARACTERS = 56;
const ONION_V2_CHARACTERS = 16;
const CHECKSUM_BYTES = 2;
const VERSION = 3;
const CHECKSUM_WORDS = '.onion checksum';
const SUFFIX = '.onion';

export interface OnionAddress {
  /** The 56 characters before ".onion", lower case. */
  readonly onion: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** The 56 characters before ".onion". @throws TypeError when the key has not 32 bytes. */
export function onionOf(publicKey: Uint8Array): string {
  if (publicKey.length !== KEY_BYTES) throw new TypeError(`an onion key has ${KEY_BYTES} bytes`);
  return base32.encode(Buffer.concat([publicKey, checksumOf(publicKey), Uint8Array.of(VERSION)])).slice(1);
}

/**
 * Reads an address with or without ".onion", in either case of letters.
 * @throws RelaymintError INVALID_ARGUMENT with what exactly is wrong.
 */
export function readOnion(text: string): OnionAddress {
  const checked = check(text);
  if ('wrong' in checked) {
    throw new RelaymintError('INVALID_ARGUMENT', `"${text.slice(0, 80)}" is no onion address: ${checked.wrong}.`, {
      remedy: checked.remedy,
    });
  }
  if (!isSoundKey(checked.publicKey)) {
    throw new RelaymintError('INVALID_ARGUMENT', `"${text.slice(0, 80)}" is no onion address: its key is none.`, {
      remedy: 'Nobody can answer there. Ask for the address again where you got it.',
    });
  }
  return checked;
}

/** True for text in the form of an onion address, checksum included. `readOnion` checks whether its key can exist. */
export function isOnion(text: string): boolean {
  return !('wrong' in check(text));
}

type Checked = OnionAddress | { readonly wrong: string; readonly remedy: string };

function check(text: string): Checked {
  const lower = text.toLowerCase();
  const onion = lower.endsWith(SUFFIX) ? lower.slice(0, -SUFFIX.length) : lower;
  if (/^[a-z2-7]*$/.test(onion) && onion.length === ONION_V2_CHARACTERS) {
    return {
      wrong: 'it is of version 2, which Tor no longer carries',
      remedy: 'Ask its owner for the address of version 3, which has 56 characters.',
    };
  }
  if (onion.length !== ONION_CHARACTERS) {
    return {
      wrong: `it has ${onion.length} characters before ".onion" instead of ${ONION_CHARACTERS}`,
      remedy: 'Copy the whole address.',
    };
  }
  if (!/^[a-z2-7]*$/.test(onion)) {
    return { wrong: 'it has characters other than a to z and 2 to 7', remedy: 'Copy the address once more.' };
  }
  const bytes = base32.decode(`b${onion}`);
  const publicKey = bytes.slice(0, KEY_BYTES);
  const version = bytes[KEY_BYTES + CHECKSUM_BYTES];
  if (version !== VERSION) {
    return {
      wrong: `it says version ${String(version)}, and only version ${VERSION} is known`,
      remedy: 'Copy the address again, to its last character.',
    };
  }
  const [first, second] = checksumOf(publicKey);
  if (bytes[KEY_BYTES] !== first || bytes[KEY_BYTES + 1] !== second) {
    return { wrong: 'its checksum does not fit: a character is wrong', remedy: 'Copy the address once more.' };
  }
  return { onion, publicKey };
}

function checksumOf(publicKey: Uint8Array): Uint8Array {
  const hash = createHash('sha3-256');
  hash.update(CHECKSUM_WORDS).update(publicKey).update(Uint8Array.of(VERSION));
  return hash.digest().subarray(0, CHECKSUM_BYTES);
}

/** A point of the curve's large subgroup: otherwise several addresses would stand for one service. */
function isSoundKey(publicKey: Uint8Array): boolean {
  try {
    const point = ed25519.Point.fromBytes(publicKey);
    return !point.is0() && point.isTorsionFree();
  } catch {
    return false;
  }
}
