/** The address behind each label, and the delegates' keys. */
import { createHash, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { TOKEN_PROGRAM_ID } from '@solana/spl-token';
import { PublicKey, SYSVAR_INSTRUCTIONS_PUBKEY, SystemProgram } from '@solana/web3.js';
import * as program from '../../../../ledger/solana/program/index.ts';
import { ED25519 } from '../../../../platform/keys/der.ts';
import { commitmentOf } from '../model/commitments.ts';
import type { Label } from '../model/calls.ts';

export interface Place {
  readonly key: Uint8Array;
  /** Of a program's address. */
  readonly bump: number;
}

export class Book {
  readonly programId: PublicKey = new PublicKey(digest('program'));
  readonly #places = new Map<Label, Place>();
  readonly #secrets = new Map<Label, KeyObject>();

  constructor() {
    const { programId } = this;
    this.#places.set('program', { key: programId.toBytes(), bump: 0 });
    this.#places.set('token program', { key: TOKEN_PROGRAM_ID.toBytes(), bump: 0 });
    this.#places.set('system program', { key: SystemProgram.programId.toBytes(), bump: 0 });
    this.#places.set('instructions', { key: SYSVAR_INSTRUCTIONS_PUBKEY.toBytes(), bump: 0 });
    const programData = program.programDataAddress(programId).toBytes();
    this.#places.set('program data', { key: programData, bump: 0 });
    this.#places.set('bank', this.#derived('bank'));
    this.#places.set('mint', this.#derived('credit'));
  }

  place(label: Label): Place {
    const known = this.#places.get(label);
    if (known !== undefined) return known;
    const found = this.#find(label);
    this.#places.set(label, found);
    return found;
  }

  /** 32 bytes. */
  key(label: Label): Uint8Array {
    return this.place(label).key;
  }

  /** Tells where a commitment lies, and its label. */
  commitment(committer: Label, hash: Uint8Array): Label {
    const label = commitmentOf(committer, hash);
    if (!this.#places.has(label)) {
      const place = digest(this.key(committer), hash);
      this.#places.set(label, this.#derived('commit', place));
    }
    return label;
  }

  /** Ed25519 by the key of a wallet. */
  sign(label: Label, message: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, message, this.#secret(label)));
  }

  #find(label: Label): Place {
    const [kind, of, ...rest] = label.split(' ');
    const owner = rest.join(' ');
    if (kind === 'till' && of === 'of') return this.#derived('till', this.key(owner));
    if (kind === 'claim' && of === 'of') return this.#derived('claim', this.key(owner));
    if (kind === 'name' && of !== undefined) return this.#derived('name', digest(label.slice('name '.length)));
    if (kind === 'purse' && of === 'of') {
      const key = program.creditAccountAddress(this.programId, new PublicKey(this.key(owner)));
      return { key: key.toBytes(), bump: 0 };
    }
    return { key: ED25519.rawPublic(this.#secret(label)), bump: 0 };
  }

  #secret(label: Label): KeyObject {
    const known = this.#secrets.get(label);
    if (known !== undefined) return known;
    const secret = ED25519.privateKey(digest(`secret of ${label}`));
    this.#secrets.set(label, secret);
    return secret;
  }

  #derived(seed: string, of: Uint8Array = new Uint8Array()): Place {
    const [key, bump] = PublicKey.findProgramAddressSync([Buffer.from(seed), of], this.programId);
    return { key: key.toBytes(), bump };
  }
}

export function digest(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const hash = createHash('sha256');
  for (const each of parts) hash.update(each);
  return new Uint8Array(hash.digest());
}
