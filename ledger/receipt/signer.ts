/** Signing receipts with the channel's delegate key: a hot key, separate from the node key and the wallet. */
import { sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { concatBytes } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { ledgerAddress } from '../../core/ids.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { ED25519 } from '../../platform/keys/der.ts';
import { encodeReceipt } from './receipt.ts';
import type { Receipt, SignedReceipt } from './receipt.ts';

/** Signs the receipts of the channels that name `address` as their delegate. */
export interface Signer {
  readonly address: LedgerAddress;
  /** Ed25519, 64 bytes, synchronous (about 36 us). @throws RelaymintError CLOSED. */
  sign(message: Uint8Array): Uint8Array;
  /** Discards the key. */
  close(): void;
}

/** The signer of a 32-byte Ed25519 seed. The seed is not kept: the caller zeroizes its own copy. */
export function delegateFromSeed(seed: Uint8Array): Signer {
  return new DelegateSigner(ED25519.privateKey(seed));
}

class DelegateSigner implements Signer {
  readonly address: LedgerAddress;
  #key: KeyObject | undefined;

  constructor(key: KeyObject) {
    this.address = ledgerAddress(ED25519.rawPublic(key));
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
