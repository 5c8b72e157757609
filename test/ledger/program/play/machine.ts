/**
 * The virtual machine by its own binding. The wrapper around it encodes every address in base58 and every transaction
 * twice, which takes forty times as long as the machine itself.
 */
import { readFileSync } from 'node:fs';
import bs58 from 'bs58';
import { PublicKey } from '@solana/web3.js';
import { Account, FailedTransactionMetadata, LiteSvm } from 'litesvm/dist/internal.js';
import { withUpgradeAuthority } from '../../../../ledger/solana/deployment/loader.ts';
import type { Label, Step } from '../model/calls.ts';
import type { Failure } from '../model/model.ts';
import { PROGRAM_FILE } from '../svm.ts';
import type { Book } from './book.ts';
import { IDL } from './idl.ts';
import { transaction } from './message.ts';
import { ADMIN } from './stage.ts';
import type { Flaw } from './wire.ts';

/** Ours by idl.json, and what the system and token programs and the precompile say. */
const NAMES: ReadonlyMap<number, string> = new Map([
  ...IDL.errors.map(({ number, name }): [number, string] => [number, name]),
  [1, 'InsufficientFunds'],
  [2, 'BadSignature'],
  [11, 'PurseNotEmpty'],
]);

/** The runtime's own reason for an account that is not there; its others are not expected and stay numbers. */
const INVALID_ACCOUNT_DATA = 3;

export interface Found {
  readonly lamports: bigint;
  readonly owner: Uint8Array;
  readonly data: Uint8Array;
}

export class Machine {
  readonly #svm = new LiteSvm();
  readonly #book: Book;
  readonly #blockhash: Uint8Array;
  #sent = 0;

  constructor(book: Book) {
    this.#book = book;
    const svm = this.#svm;
    svm.addProgram(book.key('program'), readFileSync(PROGRAM_FILE));
    const data = svm.getAccount(book.key('program data'));
    if (data === null) throw new Error('the program has no data account');
    const owned = withUpgradeAuthority(data.data(), new PublicKey(book.key(ADMIN)));
    svm.setAccount(book.key('program data'), new Account(data.lamports(), owned, data.owner(), false, 0n));
    svm.setSigverify(false);
    svm.setTransactionHistory(0n);
    this.#blockhash = bs58.decode(svm.latestBlockhash());
  }

  /** Lamports that an account pays for each of its bytes. */
  rentPerByte(): bigint {
    return this.#svm.minimumBalanceForRentExemption(0n) / 128n;
  }

  fund(label: Label, lamports: bigint): void {
    const nobody = this.#book.key('system program');
    this.#svm.setAccount(this.#book.key(label), new Account(lamports, new Uint8Array(), nobody, false, 0n));
  }

  setClock(seconds: bigint, slot: bigint): void {
    const clock = this.#svm.getClock();
    clock.unixTimestamp = seconds;
    clock.slot = slot;
    this.#svm.setClock(clock);
  }

  send(steps: readonly Step[], flaw?: Flaw): Failure | undefined {
    const wire = transaction(this.#book, steps, this.#blockhash, flaw);
    this.#sent += 1;
    // Signatures are not looked at, but must differ.
    new DataView(wire.buffer, wire.byteOffset).setUint32(1, this.#sent, true);
    const result = this.#svm.sendLegacyTransaction(wire);
    return result instanceof FailedTransactionMetadata ? failure(result) : undefined;
  }

  account(label: Label): Found | undefined {
    const found = this.#svm.getAccount(this.#book.key(label));
    return found === null ? undefined : { lamports: found.lamports(), owner: found.owner(), data: found.data() };
  }
}

function failure(result: FailedTransactionMetadata): Failure {
  const error = result.err();
  if (typeof error !== 'object' || !('err' in error)) {
    return { at: undefined, reason: /^TransactionError(\w+)/.exec(String(error))?.[1] ?? String(error) };
  }
  const inner = error.err();
  const at = error.index;
  if (typeof inner !== 'object' || !('code' in inner)) {
    return {
      at,
      reason: Number(inner) === INVALID_ACCOUNT_DATA ? 'InvalidAccountData' : `the runtime's ${String(inner)}`,
    };
  }
  return { at, reason: NAMES.get(inner.code) ?? `Custom ${inner.code}` };
}
