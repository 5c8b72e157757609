/** Signing receipts with the channel's delegate key: a hot key, separate from the node key and the wallet. */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { concatBytes } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { KEY_BYTES, ledgerAddress } from '../../core/ids.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { encodeReceipt } from './receipt.ts';
import type { Receipt, SignedReceipt } from './receipt.ts';

/** PKCS #8 wrapping of a 32-byte Ed25519 seed (RFC 8410). */
const PKCS8_PREFIX = Uint8Array.of(
  0x30,
  0x2e,
  0x02,
  0x01,
  0x00,
  0x30,
  0x05,
  0x06,
  0x03,
  0x2b,
  0x65,
  0x70,
  0x04,
  0x22,
  0x04,
  0x20,
);
/** A DER public key ends with its 32 raw bytes. */
const SPKI_PREFIX_BYTES = 12;

/** Signs the receipts of the channels that name `address` as their delegate. */
export interface Signer {
  readonly address: LedgerAddress;
  /** Ed25519, 64 bytes, synchronous (about 36 us). @throws RelaymintError CLOSED. */
  sign(message: Uint8Array): Uint8Array;
  /** Forgets the key. */
  close(): void;
}

/** The signer of a 32-byte Ed25519 seed. The seed is not kept: the caller zeroizes its own copy. */
export function delegateFromSeed(seed: Uint8Array): Signer {
  if (seed.length !== KEY_BYTES) throw new TypeError(`an Ed25519 seed has ${KEY_BYTES} bytes, got ${seed.length}`);
  const der = Buffer.from(concatBytes(PKCS8_PREFIX, seed));
  try {
    return new DelegateSigner(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  } finally {
    der.fill(0);
  }
}

class DelegateSigner implements Signer {
  readonly address: LedgerAddress;
  #key: KeyObject | undefined;

  constructor(key: KeyObject) {
    const der = createPublicKey(key).export({ format: 'der', type: 'spki' });
    this.address = ledgerAddress(Uint8Array.from(der.subarray(SPKI_PREFIX_BYTES)));
    this.#key = key;
  }

  sign(message: Uint8Array): Uint8Array {
    if (this.#key === undefined) {
      throw new RelaymintError('CLOSED', 'The delegate key was closed.', { remedy: 'Restart the node to sign again.' });
    }
    return sign(null, message, this.#key);
  }

  close(): void {
    this.#key = undefined;
  }
}

/** Encodes and signs. @throws RelaymintError CLOSED when the signer was closed. */
export function signReceipt(receipt: Receipt, signer: Signer): SignedReceipt {
  const message = encodeReceipt(receipt);
  return { ...receipt, bytes: concatBytes(message, signer.sign(message)) };
}
