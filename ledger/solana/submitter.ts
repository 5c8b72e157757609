/** Brings signed transactions onto the chain, and finds out what became of them. */
import { randomInt } from 'node:crypto';
import { ComputeBudgetProgram, SendTransactionError, Transaction } from '@solana/web3.js';
import type { Keypair, SignatureStatus, TransactionInstruction } from '@solana/web3.js';
import bs58 from 'bs58';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import { lamports } from '../../core/units.ts';
import type { PreparedTransaction, SubmissionStatus, TransactionResult } from '../contract.ts';
import { decodeProgramError } from './program/index.ts';
import type { Rpc } from './rpc.ts';
import { MAX_PACKET_BYTES } from './settle-size.ts';

/** New blockhashes that one call may use up before it gives up: each lasts a minute. */
const SIGNINGS = 3;
const FIRST_POLL_MILLIS = 50;
const SLOWEST_POLL_MILLIS = 1000;
/** Clusters drop transactions under load; sending one again is harmless. */
const RESEND_MILLIS = 2000;
/** A node may know that a transaction is confirmed a moment before it can show it. */
const RECORD_TRIES = 10;
/** What the network gives each instruction by default, and at most to all of them. */
const UNITS_PER_INSTRUCTION = 200_000;
const MAX_UNITS = 1_400_000;
/** Range of the figure that tells equal transactions apart. */
const SERIALS = 0x10000;
const LACKING_FUNDS = /no record of a prior credit|insufficient funds|insufficient lamports/i;

export class Submitter {
  readonly #rpc: Rpc;
  #serial = randomInt(SERIALS);

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  /** Signs with a fresh blockhash; the first signer pays the fee. @throws RelaymintError LIMIT_EXCEEDED when it is too long. */
  async prepare(
    instructions: readonly TransactionInstruction[],
    signers: readonly [Keypair, ...Keypair[]],
  ): Promise<PreparedTransaction> {
    const { value } = await this.#rpc.ask((connection) => connection.getLatestBlockhashAndContext());
    const transaction = new Transaction({ feePayer: signers[0].publicKey, ...value }).add(...instructions);
    const length = lengthOf(transaction);
    if (length > MAX_PACKET_BYTES) {
      throw new RelaymintError(
        'LIMIT_EXCEEDED',
        `The transaction has ${length} bytes, more than ${MAX_PACKET_BYTES}.`,
        {
          remedy: 'Put less into it, for example fewer receipts or shares.',
          details: { length },
        },
      );
    }
    transaction.sign(...signers);
    return {
      signature: bs58.encode(transaction.signature ?? new Uint8Array()),
      wire: Uint8Array.from(transaction.serialize()),
      lastValidBlockHeight: BigInt(value.lastValidBlockHeight),
    };
  }

  /**
   * Signs, sends and waits; signs anew when the network let the transaction expire.
   * @throws RelaymintError PROGRAM_ERROR or a nearer code, INSUFFICIENT_FUNDS, LEDGER_REJECTED, LEDGER_UNREACHABLE, TIMEOUT
   */
  async run(
    instructions: readonly TransactionInstruction[],
    signers: readonly [Keypair, ...Keypair[]],
  ): Promise<TransactionResult> {
    for (let signing = 1; signing <= SIGNINGS; signing += 1) {
      const prepared = await this.prepare([this.#unique(instructions.length), ...instructions], signers);
      await this.submit(prepared);
      const outcome = await this.#poll(prepared);
      if (outcome.state === 'confirmed') return outcome.result;
      if (outcome.state === 'failed') throw outcome.error;
    }
    throw new RelaymintError('TIMEOUT', `The network let the transaction expire ${SIGNINGS} times.`, {
      remedy: 'Try again when it is less busy.',
    });
  }

  /**
   * Paying the same sum to the same wallet twice within one slot would be the same transaction, carried out once and
   * reported twice. A limit of compute units that no two have in common makes each its own.
   */
  #unique(instructions: number): TransactionInstruction {
    this.#serial = (this.#serial + 1) % SERIALS;
    const enough = Math.min(UNITS_PER_INSTRUCTION * instructions, MAX_UNITS - SERIALS);
    return ComputeBudgetProgram.setComputeUnitLimit({ units: enough + this.#serial });
  }

  async submit({ wire }: PreparedTransaction): Promise<void> {
    try {
      await this.#rpc.ask((connection) => connection.sendRawTransaction(wire, { preflightCommitment: 'confirmed' }));
    } catch (error) {
      if (!(error instanceof SendTransactionError)) throw error;
      const reason = reasonOf(error);
      // On chain already; or the node is behind, or the blockhash has expired. The status tells which.
      if (/already been processed|blockhash not found|node is (?:behind|unhealthy)/i.test(reason)) return;
      throw failureOf(error, error.logs ?? []);
    }
  }

  async status(
    transaction: Pick<PreparedTransaction, 'signature' | 'lastValidBlockHeight'>,
  ): Promise<SubmissionStatus> {
    const found = await this.#look(transaction);
    return found.state === 'failed' ? { state: 'failed', reason: found.error.message } : found;
  }

  async confirm(transaction: PreparedTransaction, signal?: AbortSignal): Promise<SubmissionStatus> {
    const found = await this.#poll(transaction, signal);
    return found.state === 'failed' ? { state: 'failed', reason: found.error.message } : found;
  }

  /** Waits for a signature that somebody else signed (an airdrop). @throws as `run` */
  async settled(signature: string): Promise<void> {
    const height = await this.#rpc.ask((connection) => connection.getBlockHeight());
    const found = await this.#poll({ signature, lastValidBlockHeight: BigInt(height) + 150n });
    if (found.state === 'failed') throw found.error;
    if (found.state === 'confirmed') return;
    throw new RelaymintError('TIMEOUT', 'The network did not carry out the transaction.', { remedy: 'Try again.' });
  }

  async #poll(
    transaction: Pick<PreparedTransaction, 'signature' | 'lastValidBlockHeight'> & Partial<PreparedTransaction>,
    signal?: AbortSignal,
  ): Promise<Exclude<Found, { state: 'pending' }>> {
    let pause = FIRST_POLL_MILLIS;
    let sinceSent = 0;
    for (;;) {
      const found = await this.#look(transaction);
      if (found.state !== 'pending') return found;
      await this.#rpc.wait(pause, signal);
      sinceSent += pause;
      pause = Math.min(pause * 1.5, SLOWEST_POLL_MILLIS);
      if (sinceSent < RESEND_MILLIS || transaction.wire === undefined) continue;
      sinceSent = 0;
      await this.#resend(transaction.wire);
    }
  }

  /** What the node thinks of it does not matter here: the status decides. */
  async #resend(wire: Uint8Array): Promise<void> {
    try {
      await this.#rpc.ask((connection) => connection.sendRawTransaction(wire, { skipPreflight: true }));
    } catch (error) {
      if (!(error instanceof SendTransactionError) && !isRelaymintError(error, 'LEDGER_REJECTED')) throw error;
    }
  }

  async #look({
    signature,
    lastValidBlockHeight,
  }: Pick<PreparedTransaction, 'signature' | 'lastValidBlockHeight'>): Promise<Found> {
    const early = await this.#statusOf(signature);
    if (early !== null) return this.#foundAs(signature, early);
    const height = BigInt(await this.#rpc.ask((connection) => connection.getBlockHeight()));
    if (height <= lastValidBlockHeight) return { state: 'pending' };
    // It may have got in between the two questions; from now on it cannot any more.
    const late = await this.#statusOf(signature);
    return late === null ? { state: 'expired' } : this.#foundAs(signature, late);
  }

  async #statusOf(signature: string): Promise<SignatureStatus | null> {
    const { value } = await this.#rpc.ask((connection) =>
      connection.getSignatureStatuses([signature], { searchTransactionHistory: true }),
    );
    return value[0] ?? null;
  }

  async #foundAs(signature: string, status: SignatureStatus): Promise<Found> {
    if (status.confirmationStatus === 'processed') return { state: 'pending' };
    const record = await this.#record(signature);
    if (status.err !== null) return { state: 'failed', error: failureOf(status.err, record?.logs ?? []) };
    return { state: 'confirmed', result: record?.result ?? { signature, feeLamports: lamports(0n), computeUnits: 0 } };
  }

  /** undefined when the node keeps no history: fee and compute units are then reported as 0. */
  async #record(
    signature: string,
  ): Promise<{ readonly result: TransactionResult; readonly logs: string[] } | undefined> {
    for (let attempt = 1; attempt <= RECORD_TRIES; attempt += 1) {
      const found = await this.#rpc.ask((connection) =>
        connection.getTransaction(signature, { commitment: 'confirmed', maxSupportedTransactionVersion: 0 }),
      );
      if (found?.meta !== undefined && found.meta !== null) {
        const { fee, computeUnitsConsumed, logMessages } = found.meta;
        const result = { signature, feeLamports: lamports(fee), computeUnits: computeUnitsConsumed ?? 0 };
        return { result, logs: logMessages ?? [] };
      }
      await this.#rpc.wait(FIRST_POLL_MILLIS * attempt);
    }
    return undefined;
  }
}

type Found =
  | { readonly state: 'confirmed'; readonly result: TransactionResult }
  | { readonly state: 'failed'; readonly error: RelaymintError }
  | { readonly state: 'pending' }
  | { readonly state: 'expired' };

function failureOf(failure: unknown, logs: readonly string[]): RelaymintError {
  const decoded = decodeProgramError(failure, logs);
  if (decoded.code !== 'LEDGER_REJECTED') return decoded;
  const text = failure instanceof Error ? reasonOf(failure) : JSON.stringify(failure);
  if (!LACKING_FUNDS.test([text, ...logs].join('\n')) && !text.includes('InsufficientFunds')) return decoded;
  return new RelaymintError('INSUFFICIENT_FUNDS', 'The wallet has not enough lamports for the transaction.', {
    remedy: 'Send it some SOL for rent and fees.',
    cause: failure instanceof Error ? failure : undefined,
  });
}

function reasonOf(error: Error): string {
  return error instanceof SendTransactionError ? error.transactionError.message : messageOf(error);
}

/** Signatures, then the message. web3.js itself only says "too large". */
function lengthOf(transaction: Transaction): number {
  let message: Buffer;
  try {
    message = transaction.compileMessage().serialize();
  } catch (error) {
    // Its buffer is one packet: what does not fit raises a RangeError.
    if (error instanceof RangeError) return MAX_PACKET_BYTES + 1;
    throw error;
  }
  const signers = message[0] ?? 0;
  return 1 + 64 * signers + message.length;
}
