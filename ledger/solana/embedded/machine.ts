/** The SVM itself: litesvm with our own time, our own record of signatures, and plain values in and out. */
import { Clock, FailedTransactionMetadata, LiteSVM } from 'litesvm';
import type { TransactionMetadata } from 'litesvm';
import type { EncodedAccount } from '@solana/kit';
import { address, lamports } from '@solana/kit';
import bs58 from 'bs58';
import { RelaymintError } from '../../../core/errors.ts';
import { SLOTS_PER_EPOCH } from './timeline.ts';
import type { Timeline } from './timeline.ts';
import { transactionErrorJson } from './transaction-error.ts';
import type { TransactionErrorJson } from './transaction-error.ts';
import type { WireTransaction } from './wire.ts';

export interface AccountState {
  readonly lamports: bigint;
  /** base58 of the owning program. */
  readonly owner: string;
  readonly executable: boolean;
  readonly data: Uint8Array;
}

export interface InnerInstruction {
  readonly programIndex: number;
  readonly accounts: readonly number[];
  readonly data: Uint8Array;
  readonly stackHeight: number;
}

/** The result of a transaction. */
export interface Outcome {
  readonly error: TransactionErrorJson | null;
  readonly logs: readonly string[];
  readonly computeUnits: number;
  readonly feeLamports: bigint;
  readonly returnData: { readonly program: string; readonly data: Uint8Array } | null;
  /** One list for each top-level instruction. */
  readonly inner: readonly (readonly InnerInstruction[])[];
}

export interface SimulationOutcome extends Outcome {
  /** The writable accounts as they would be, by address; empty when it failed. */
  readonly accounts: ReadonlyMap<string, AccountState>;
}

export class Machine {
  readonly #svm: LiteSVM;
  #verifying = true;
  #sysvarSlot = -1;
  #sysvarTime = -1;

  constructor() {
    // Timeline and History check blockhashes and duplicates: litesvm's own check takes only its latest blockhash.
    this.#svm = new LiteSVM().withBlockhashCheck(false).withTransactionHistory(0n).withLogBytesLimit(10_000n);
  }

  addProgram(programId: string, program: Uint8Array): void {
    this.#svm.addProgram(address(programId), program);
  }

  account(key: string): AccountState | undefined {
    const found = this.#svm.getAccount(address(key));
    if (!found.exists || found.lamports === 0n) return undefined;
    return stateOf(found);
  }

  balance(key: string): bigint {
    return this.#svm.getBalance(address(key)) ?? 0n;
  }

  /** All accounts of a program with lamports in them. */
  programAccounts(owner: string): readonly (readonly [string, AccountState])[] {
    return this.#svm
      .getProgramAccounts(address(owner))
      .filter((found) => found.lamports > 0n)
      .map((found) => [found.address, stateOf(found)]);
  }

  setAccount(key: string, state: AccountState): void {
    this.#svm.setAccount({
      address: address(key),
      lamports: lamports(state.lamports),
      programAddress: address(state.owner),
      executable: state.executable,
      space: BigInt(state.data.length),
      data: state.data,
    });
  }

  minimumRent(dataBytes: number): bigint {
    return this.#svm.minimumBalanceForRentExemption(BigInt(dataBytes));
  }

  /** Sets the sysvars to the timeline. Transactions run in the slot after the latest finished one. */
  follow(timeline: Timeline): void {
    const slot = timeline.slot();
    const time = timeline.unixTimestamp();
    if (slot === this.#sysvarSlot && time === this.#sysvarTime) return;
    const epoch = Math.floor((slot + 1) / SLOTS_PER_EPOCH);
    const epochStart = timeline.blockTime(Math.max(1, epoch * SLOTS_PER_EPOCH));
    this.#svm.setClock(new Clock(BigInt(slot + 1), BigInt(epochStart), BigInt(epoch), BigInt(epoch + 1), BigInt(time)));
    if (slot !== this.#sysvarSlot) this.#svm.setSlotHashes([...timeline.slotHashes()]);
    this.#sysvarSlot = slot;
    this.#sysvarTime = time;
  }

  execute(transaction: WireTransaction, verifySignatures: boolean): Outcome {
    this.#verify(verifySignatures);
    return outcomeOf(this.#svm.sendTransaction(transaction.transaction));
  }

  simulate(transaction: WireTransaction, verifySignatures: boolean): SimulationOutcome {
    this.#verify(verifySignatures);
    const result = this.#svm.simulateTransaction(transaction.transaction);
    if (result instanceof FailedTransactionMetadata) return { ...outcomeOf(result), accounts: new Map() };
    const accounts = result.postAccounts().map((found): [string, AccountState] => [found.address, stateOf(found)]);
    return { ...outcomeOf(result.meta()), accounts: new Map(accounts) };
  }

  #verify(verifySignatures: boolean): void {
    if (verifySignatures === this.#verifying) return;
    this.#svm.withSigverify(verifySignatures);
    this.#verifying = verifySignatures;
  }
}

function stateOf(found: EncodedAccount): AccountState {
  // kit calls the bytes read-only; they are a copy that nobody else holds.
  const data = found.data as Uint8Array;
  return { lamports: found.lamports, owner: found.programAddress, executable: found.executable, data };
}

function outcomeOf(result: TransactionMetadata | FailedTransactionMetadata): Outcome {
  const failed = result instanceof FailedTransactionMetadata;
  const meta = failed ? result.meta() : result;
  const returned = meta.returnData();
  return {
    error: failed ? transactionErrorJson(result.err()) : null,
    logs: meta.logs(),
    computeUnits: Number(meta.computeUnitsConsumed()),
    feeLamports: feeOf(meta),
    returnData:
      returned.data().length === 0 ? null : { program: bs58.encode(returned.programId()), data: returned.data() },
    inner: meta.innerInstructions().map((list) =>
      list.map((entry) => ({
        programIndex: entry.instruction().programIdIndex(),
        accounts: [...entry.instruction().accounts()],
        data: entry.instruction().data(),
        stackHeight: entry.stackHeight(),
      })),
    ),
  };
}

/** litesvm knows the fee and prints it, but its binding has no getter for it. */
function feeOf(meta: TransactionMetadata): bigint {
  const printed = /, fee: (\d+) \}\)$/.exec(meta.toString())?.[1];
  if (printed === undefined) {
    throw new RelaymintError('INTERNAL', 'The SVM no longer prints what a transaction cost.', {
      remedy: 'Install the litesvm version that package-lock.json names.',
    });
  }
  return BigInt(printed);
}
