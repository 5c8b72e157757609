/** Sends signed transactions, and finds out what became of them. */
import { SendTransactionError } from '@solana/web3.js';
import type { Keypair, PublicKey, SignatureStatus, TransactionInstruction } from '@solana/web3.js';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { assertNotAborted, orAborted } from '../../core/abort.ts';
import { backoff, type Backoff } from '../../core/backoff.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { amount, lamports } from '../../core/units.ts';
import type { Lamports } from '../../core/units.ts';
import type { Commitment, PreparedTransaction, SubmissionStatus, TransactionResult } from '../contract.ts';
import { expired, failureOf, reasonOf, UNDECIDED } from './failure.ts';
import type { Preparer } from './preparer.ts';
import { programEvents } from './program/index.ts';
import type { Rpc } from './rpc.ts';
import { isVersionOne } from './version-one.ts';

/** New blockhashes that one call may use up before it gives up: each lasts a minute. */
const SIGNINGS = 3;
/** Pauses between two looks at a transaction. */
const POLLS: Backoff = { first: 50, last: 1000, factor: 1.5 };
/** Clusters drop transactions under load; sending one again is harmless. */
const RESEND_MILLIS = 2000;
/** A node may know that a transaction is confirmed a moment before it can show it. */
const RECORD_TRIES = 10;
/**
 * Blocks beyond the last final one after which nothing signed by now can be carried out: 150 that a blockhash lasts, and what a
 * cluster may be ahead of finality on a bad day. A node that says more is wrong, or its cluster began anew.
 */
const MAX_BLOCKS_AHEAD = 3_000n;
/** Transactions of which such a thing was said. */
const MAX_BOUNDED = 1024;
/** HTTP statuses of a node or a proxy that finds a request too long or malformed. */
const TOO_MUCH: readonly number[] = [400, 413, 414, 422];

const WAITING = 'Waiting for a transaction';
const LATER = 'Ask for its status later: it may still get through.';

export class Submitter {
  readonly #rpc: Rpc;
  readonly #preparer: Preparer;
  readonly #program: PublicKey;
  /** By signature: the last block that may hold it, where a node claimed an impossible one. */
  readonly #bounds = new LRUCache<string, bigint>({ max: MAX_BOUNDED });

  /** `program`: the program whose log lines say what a settlement moved and what a withdrawal minted. */
  constructor(rpc: Rpc, preparer: Preparer, program: PublicKey) {
    this.#rpc = rpc;
    this.#preparer = preparer;
    this.#program = program;
  }

  /**
   * Signs, sends and waits; signs anew when the network let the transaction expire. `maxBid` is asked only where there is something
   * to bid; without it the bid is at most `DEFAULT_MAX_PRIORITY_FEE`.
   * @throws RelaymintError PROGRAM_ERROR or a nearer code, INSUFFICIENT_FUNDS, LEDGER_REJECTED, LEDGER_UNREACHABLE, TIMEOUT
   */
  async run(
    instructions: readonly TransactionInstruction[],
    signers: readonly [Keypair, ...Keypair[]],
    maxBid?: () => Promise<Lamports>,
  ): Promise<TransactionResult> {
    for (let signing = 1; signing <= SIGNINGS; signing += 1) {
      const prepared = await this.#preparer.sign(instructions, signers, maxBid);
      await this.#send(prepared);
      const outcome = await this.#poll(prepared, 'confirmed');
      if (outcome.state === 'confirmed') return outcome.result;
      if (outcome.state === 'failed') throw outcome.error;
    }
    throw new RelaymintError('TIMEOUT', `The network let the transaction expire ${SIGNINGS} times.`, {
      remedy: 'Try again when it is less busy.',
    });
  }

  /** Sends; when no answer comes it may have arrived all the same, and its status will tell. */
  async #send(transaction: PreparedTransaction): Promise<void> {
    try {
      await this.submit(transaction);
    } catch (error) {
      if (!isRelaymintError(error, 'LEDGER_UNREACHABLE')) throw error;
    }
  }

  /** Sends once. LEDGER_UNREACHABLE leaves open whether it arrived; any other error says that it did not. */
  async submit({ wire }: PreparedTransaction): Promise<void> {
    try {
      await this.#rpc.tell((connection) => connection.sendRawTransaction(wire, { preflightCommitment: 'confirmed' }));
    } catch (error) {
      if (!(error instanceof SendTransactionError)) {
        if (isRelaymintError(error) && TOO_MUCH.includes(Number(error.details['status']))) this.#mindSize(wire, error);
        throw error;
      }
      const reason = reasonOf(error);
      if (UNDECIDED.test(reason)) return;
      const failure = failureOf(error, error.logs ?? []);
      this.#mindSize(wire, failure);
      throw failure;
    }
  }

  async status(transaction: Sent): Promise<SubmissionStatus> {
    return this.#known(transaction, await this.#look(transaction, 'finalized'));
  }

  async confirm(transaction: PreparedTransaction, signal?: AbortSignal): Promise<SubmissionStatus> {
    return this.#known(transaction, await this.#poll(transaction, 'finalized', signal));
  }

  /**
   * Sends, and waits until most of the network has voted for it. Whatever the node answers: it has seen the transaction, which may be on
   * its way, and only the chain knows what becomes of it. What was refused is not sent again. @throws RelaymintError; its outcome is open
   */
  async land(transaction: PreparedTransaction, signal?: AbortSignal): Promise<SubmissionStatus> {
    let sent: Sent = transaction;
    try {
      await this.#send(transaction);
    } catch (error) {
      if (!isRelaymintError(error)) throw error;
      const { signature, lastValidBlockHeight } = transaction;
      sent = { signature, lastValidBlockHeight };
    }
    return this.#known(sent, await this.#poll(sent, 'confirmed', signal));
  }

  /** Most of the network has voted for it, and it did not fail. */
  async isDone(signature: string): Promise<boolean> {
    const { status } = await this.#statusOf(signature);
    return status !== null && status.err === null && isAs('confirmed', status);
  }

  #known({ wire }: Sent, found: Found): SubmissionStatus {
    if (wire !== undefined && found.state === 'expired') this.#mindSize(wire, expired());
    if (found.state !== 'failed') return found;
    if (wire !== undefined) this.#mindSize(wire, found.error);
    return { state: 'failed', reason: found.error.message };
  }

  /**
   * Whatever stopped a transaction of version 1 that is no word of the program about its contents: the next ones are of the
   * older format. A node may not know it, or not pass it on, and say so in any words or in none.
   */
  #mindSize(wire: Uint8Array, failure: RelaymintError): void {
    if (!isVersionOne(wire) || failure.details['program'] !== undefined) return;
    if (failure.code !== 'INSUFFICIENT_FUNDS') this.#preparer.size.refused(failure.message);
  }

  /** Waits for a signature that somebody else signed (an airdrop). @throws as `run` */
  async settled(signature: string): Promise<void> {
    const height = await this.#rpc.ask((connection) => connection.getBlockHeight());
    const found = await this.#poll({ signature, lastValidBlockHeight: BigInt(height) + 150n }, 'confirmed');
    if (found.state === 'failed') throw found.error;
    if (found.state === 'confirmed') return;
    throw new RelaymintError('TIMEOUT', 'The network did not carry out the transaction.', { remedy: 'Try again.' });
  }

  async #poll(
    transaction: Sent,
    commitment: Commitment,
    signal?: AbortSignal,
  ): Promise<Exclude<Found, { state: 'pending' }>> {
    let sinceSent = 0;
    assertNotAborted(signal, WAITING, LATER);
    for (let looks = 1; ; looks += 1) {
      const found = await orAborted(this.#look(transaction, commitment), signal, WAITING, LATER);
      if (found.state !== 'pending') return found;
      const pause = backoff(looks, POLLS);
      await this.#rpc.wait(pause, signal, WAITING, LATER);
      sinceSent += pause;
      if (sinceSent < RESEND_MILLIS || transaction.wire === undefined) continue;
      sinceSent = 0;
      await this.#resend(transaction.wire);
    }
  }

  /** What the node thinks of it does not matter here: the status decides. */
  async #resend(wire: Uint8Array): Promise<void> {
    try {
      await this.#rpc.tell((connection) => connection.sendRawTransaction(wire, { skipPreflight: true }));
    } catch (error) {
      if (!(error instanceof SendTransactionError) && !isRelaymintError(error, 'LEDGER_UNREACHABLE')) throw error;
    }
  }

  async #look(sent: Sent, commitment: Commitment): Promise<Found> {
    const { signature } = sent;
    const early = await this.#statusOf(signature);
    if (early.status !== null) return this.#foundAs(signature, early.status, commitment);
    // A block that no fork can undo: past the last one that may hold it, it can get in nowhere any more.
    const { blockHeight, absoluteSlot } = await this.#rpc.ask((connection) => connection.getEpochInfo('finalized'));
    if (blockHeight === undefined || BigInt(blockHeight) <= this.#lastOf(sent, BigInt(blockHeight)))
      return { state: 'pending' };
    // It may have got in between the two questions, and the second may be answered by a node that lags behind the first.
    const late = await this.#statusOf(signature);
    if (late.status !== null) return this.#foundAs(signature, late.status, commitment);
    return late.slot < absoluteSlot ? { state: 'pending' } : { state: 'expired' };
  }

  /** The last block that may hold it. A lie about that, even one kept on disk, must not stop settling for good. */
  #lastOf({ signature, lastValidBlockHeight }: Sent, height: bigint): bigint {
    const bound = this.#bounds.get(signature);
    if (bound !== undefined) return bound;
    const highest = height + MAX_BLOCKS_AHEAD;
    if (lastValidBlockHeight <= highest) return lastValidBlockHeight;
    this.#bounds.set(signature, highest);
    return highest;
  }

  /** `slot`: how far the node that answered had come. */
  async #statusOf(signature: string): Promise<{ readonly status: SignatureStatus | null; readonly slot: number }> {
    const { context, value } = await this.#rpc.ask((connection) =>
      connection.getSignatureStatuses([signature], { searchTransactionHistory: true }),
    );
    return { status: value[0] ?? null, slot: context.slot };
  }

  async #foundAs(signature: string, status: SignatureStatus, commitment: Commitment): Promise<Found> {
    if (!isAs(commitment, status)) return { state: 'pending' };
    const record = await this.#record(signature);
    if (status.err !== null) return { state: 'failed', error: failureOf(status.err, record?.logs ?? []) };
    if (record === undefined) {
      return { state: 'confirmed', result: { signature, feeLamports: lamports(0n), computeUnits: 0 } };
    }
    return { state: 'confirmed', result: record.result, ...this.#reported(record.logs) };
  }

  /** Nothing when the logs tell of neither a settlement nor a withdrawal, or not in a form that is known here. */
  #reported(logs: readonly string[]): Pick<Confirmed, 'moved' | 'withdrawn'> {
    try {
      const { events, complete } = programEvents(this.#program, logs);
      const settled = events.find(({ name }) => name === 'settle')?.values;
      const told = events.find(({ name }) => name === 'withdraw')?.values['amount'];
      // An empty till is withdrawn from without a word.
      const withdrawn = told ?? (settled === undefined && complete && logs.length > 0 ? 0n : undefined);
      const { total = 0n, fee = 0n, royalties = 0n } = settled ?? {};
      const moved = { total: amount(total), bankFee: amount(fee), royalties: amount(royalties) };
      return {
        ...(settled === undefined ? {} : { moved }),
        ...(withdrawn === undefined ? {} : { withdrawn: amount(withdrawn) }),
      };
    } catch (error) {
      if (isRelaymintError(error, 'INVALID_ENCODING')) return {};
      throw error;
    }
  }

  /** undefined when the node keeps no history: fee and compute units are then reported as 0. */
  async #record(
    signature: string,
  ): Promise<{ readonly result: TransactionResult; readonly logs: readonly string[] } | undefined> {
    for (let attempt = 1; attempt <= RECORD_TRIES; attempt += 1) {
      // web3.js cannot read what it answers of a transaction of version 1.
      const config = { commitment: 'confirmed', maxSupportedTransactionVersion: 1, encoding: 'base64' };
      const meta = (await this.#rpc.call('getTransaction', [signature, config], recordAnswer))?.meta ?? undefined;
      if (meta !== undefined) {
        const { fee, computeUnitsConsumed, logMessages } = meta;
        const result = { signature, feeLamports: lamports(fee), computeUnits: computeUnitsConsumed ?? 0 };
        return { result, logs: logMessages ?? [] };
      }
      await this.#rpc.wait(POLLS.first * attempt);
    }
    return undefined;
  }
}

const recordAnswer = z
  .object({
    meta: z
      .object({
        fee: z.number().int().nonnegative(),
        computeUnitsConsumed: z.number().int().nonnegative().nullish(),
        logMessages: z.array(z.string()).nullish(),
      })
      .nullable(),
  })
  .nullable();

/** No confirmations to count: the block is beyond any fork. */
function isAs(commitment: Commitment, { confirmationStatus, confirmations }: SignatureStatus): boolean {
  if (confirmationStatus === 'finalized' || confirmations === null) return true;
  return commitment === 'confirmed' && confirmationStatus === 'confirmed';
}

/** What is asked about. Without its bytes it is not sent again. */
type Sent = Pick<PreparedTransaction, 'signature' | 'lastValidBlockHeight'> & Partial<PreparedTransaction>;

type Confirmed = Extract<SubmissionStatus, { readonly state: 'confirmed' }>;
type Found =
  | Confirmed
  | { readonly state: 'failed'; readonly error: RelaymintError }
  | { readonly state: 'pending' }
  | { readonly state: 'expired' };
