/** Sends signed transactions, and finds out what became of them. */
import { randomInt } from 'node:crypto';
import {
  ComputeBudgetProgram,
  SendTransactionError,
  Transaction,
  TransactionInstruction,
  TransactionMessage,
  VersionedTransaction,
} from '@solana/web3.js';
import type { BlockhashWithExpiryBlockHeight, Keypair, PublicKey, SignatureStatus } from '@solana/web3.js';
import bs58 from 'bs58';
import { z } from 'zod';
import { assertNotAborted, orAborted } from '../../core/abort.ts';
import { backoff, type Backoff } from '../../core/backoff.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { amount, lamports } from '../../core/units.ts';
import type { Lamports } from '../../core/units.ts';
import type { Commitment, PreparedTransaction, SubmissionStatus, TransactionResult } from '../contract.ts';
import { expired, failureOf, reasonOf, UNDECIDED } from './failure.ts';
import { fitsPacket, lengthOf, NO_BLOCKHASH, tooLong } from './legacy-length.ts';
import { priorityFee, unitLimitOf, writableAccounts } from './priority.ts';
import type { PriorityFees } from './priority.ts';
import { loadedBytes } from './loaded-bytes.ts';
import { programEvents } from './program/index.ts';
import type { Rpc } from './rpc.ts';
import { MAX_PACKET_BYTES, MAX_VERSION_ONE_BYTES } from './transaction-size.ts';
import type { TransactionSize } from './transaction-size.ts';
import { isVersionOne, signVersionOne } from './version-one.ts';

/** New blockhashes that one call may use up before it gives up: each lasts a minute. */
const SIGNINGS = 3;
/** Pauses between two looks at a transaction. */
const POLLS: Backoff = { first: 50, last: 1000, factor: 1.5 };
/** Clusters drop transactions under load; sending one again is harmless. */
const RESEND_MILLIS = 2000;
/** A node may know that a transaction is confirmed a moment before it can show it. */
const RECORD_TRIES = 10;
/** What the network gives each instruction by default, and at most to all of them. */
const UNITS_PER_INSTRUCTION = 200_000;
const MAX_UNITS = 1_400_000;
/** Range of the figure that tells equal transactions apart. */
const SERIALS = 0x10000;
/** A transaction may take a little more when it is carried out than when it was tried. */
const UNITS_MARGIN = 1.2;
/** The instructions that set limit and price were not in the trial. */
const BUDGET_UNITS = 1_000;
/** HTTP statuses of a node or a proxy that finds a request too long or malformed. */
const TOO_MUCH: readonly number[] = [400, 413, 414, 422];
/** `SetLoadedAccountsDataSizeLimit`, for which web3.js has no builder: u8, then u32. */
const SET_LOADED_TAG = 4;
const SET_LOADED_BYTES = 5;
const SIGNATURE_BYTES = 64;

const WAITING = 'Waiting for a transaction';
const LATER = 'Ask for its status later.';

export class Submitter {
  /** How long a transaction may be here. */
  readonly size: TransactionSize;
  readonly #rpc: Rpc;
  readonly #fees: PriorityFees;
  readonly #program: PublicKey;
  #serial = randomInt(SERIALS);

  /** `program`: the program whose log lines say what a settlement moved. */
  constructor(rpc: Rpc, fees: PriorityFees, size: TransactionSize, program: PublicKey) {
    this.#rpc = rpc;
    this.#fees = fees;
    this.#program = program;
    this.size = size;
  }

  /**
   * Signs a transaction of at most `units` with a fresh blockhash, bidding what the network asks but no more than `maxBid`.
   * It may load what it needs to and hardly more. What does not fit the older format, which every node takes, has version 1
   * where the cluster takes that.
   * @throws RelaymintError LIMIT_EXCEEDED when it is too long for this cluster.
   */
  async prepare(
    instructions: readonly TransactionInstruction[],
    payer: Keypair,
    { units, maxBid }: { readonly units: number; readonly maxBid: Lamports | undefined },
  ): Promise<PreparedTransaction> {
    const owner = payer.publicKey;
    const limit = ComputeBudgetProgram.setComputeUnitLimit({ units });
    const [asked, loaded] = await Promise.all([
      this.#fees.asked([owner, ...writableAccounts(instructions)]),
      loadedBytes(this.#rpc, [limit, ...instructions], owner),
    ]);
    const price = this.#fees.within(asked, units, maxBid);
    const bid = price === 0n ? [] : [ComputeBudgetProgram.setComputeUnitPrice({ microLamports: price })];
    const unbid = [limit, loadedLimit(loaded), ...instructions];
    const legacy = [...bid, ...unbid];
    if (fitsPacket(legacy, owner)) return signed(legacy, [payer], await this.#block());
    await this.size.learn(owner);
    if (this.size.large) {
      return this.#signLarge(instructions, payer, { units, loadedBytes: loaded, bid: priorityFee(price, units) });
    }
    // A full batch may have no room for the bid. Unhurried is better than not at all.
    return signed(unbid, [payer], await this.#block());
  }

  /** Lamports that a transaction of at most `units` which writes these accounts would bid now, at most `maxBid`. */
  async priorityFee(writable: readonly PublicKey[], units: number, maxBid: Lamports): Promise<Lamports> {
    return priorityFee(this.#fees.within(await this.#fees.asked(writable), units, maxBid), units);
  }

  /**
   * What the network would charge for a transaction of these instructions that asks for so many units, without any bid. It is
   * asked, not reckoned: fees for what is requested are coming. undefined from a node that does not tell.
   */
  async charge(
    instructions: readonly TransactionInstruction[],
    feePayer: PublicKey,
    units: number,
  ): Promise<Lamports | undefined> {
    const limit = ComputeBudgetProgram.setComputeUnitLimit({ units });
    const [loaded, { value: block }] = await Promise.all([
      loadedBytes(this.#rpc, [limit, ...instructions], feePayer),
      this.#rpc.ask((connection) => connection.getLatestBlockhashAndContext()),
    ]);
    const transaction = new Transaction({ feePayer, ...block }).add(limit, loadedLimit(loaded), ...instructions);
    const message = transaction.serializeMessage().toString('base64');
    try {
      const config = { commitment: 'confirmed' };
      const { value } = await this.#rpc.call('getFeeForMessage', [message, config], chargeAnswer);
      return value === null ? undefined : lamports(value);
    } catch (error) {
      if (!isRelaymintError(error, 'LEDGER_REJECTED')) throw error;
      return undefined;
    }
  }

  async #signLarge(
    instructions: readonly TransactionInstruction[],
    payer: Keypair,
    budget: { readonly units: number; readonly loadedBytes: number; readonly bid: Lamports },
  ): Promise<PreparedTransaction> {
    const { blockhash, lastValidBlockHeight } = await this.#block();
    const wire = signVersionOne({ instructions, blockhash, ...budget }, payer);
    if (wire.length > MAX_VERSION_ONE_BYTES) throw tooLong(wire.length, MAX_VERSION_ONE_BYTES);
    return {
      signature: bs58.encode(wire.subarray(wire.length - SIGNATURE_BYTES)),
      wire,
      lastValidBlockHeight: BigInt(lastValidBlockHeight),
    };
  }

  /** The newest block: a transaction that names it may be carried out for about a minute. */
  async #block(): Promise<BlockhashWithExpiryBlockHeight> {
    return (await this.#rpc.ask((connection) => connection.getLatestBlockhashAndContext())).value;
  }

  /** Signs what `run` would send, with a fresh blockhash. */
  async sign(
    instructions: readonly TransactionInstruction[],
    signers: readonly [Keypair, ...Keypair[]],
    maxBid?: () => Promise<Lamports>,
  ): Promise<PreparedTransaction> {
    this.#serial = (this.#serial + 1) % SERIALS;
    const [priced, block] = await Promise.all([
      this.#priced(instructions, signers[0].publicKey, this.#serial, maxBid),
      this.#block(),
    ]);
    return signed(priced, signers, block);
  }

  /**
   * The instructions with their bid. `serial` tells equal transactions apart: paying the same sum to the same wallet twice
   * within one slot would be the same transaction, carried out once and reported twice. Added to the limit of compute
   * units, it makes each its own.
   */
  async #priced(
    instructions: readonly TransactionInstruction[],
    payer: PublicKey,
    serial: number,
    maxBid: (() => Promise<Lamports>) | undefined,
  ): Promise<readonly TransactionInstruction[]> {
    const asked = await this.#fees.asked([payer, ...writableAccounts(instructions)]);
    const usual = Math.min(UNITS_PER_INSTRUCTION * instructions.length, MAX_UNITS - SERIALS);
    const unbid = [unitLimit(usual + serial), ...instructions];
    if (asked === 0n) return unbid;
    const given = unitLimitOf(instructions);
    const limit = given ?? ((await this.#tried(instructions, payer)) ?? usual) + serial;
    const microLamports = this.#fees.within(asked, limit, await maxBid?.());
    if (microLamports === 0n) return unbid;
    const bid = [
      ...(given === undefined ? [unitLimit(limit)] : []),
      ComputeBudgetProgram.setComputeUnitPrice({ microLamports }),
      ...instructions,
    ];
    return fitsPacket(bid, payer) ? bid : unbid;
  }

  /** Compute units that the instructions take, with a margin; undefined when the trial fails: sending it will say why. */
  async #tried(instructions: readonly TransactionInstruction[], payer: PublicKey): Promise<number | undefined> {
    const message = new TransactionMessage({
      payerKey: payer,
      recentBlockhash: NO_BLOCKHASH.blockhash,
      instructions: [...instructions],
    }).compileToLegacyMessage();
    const { value } = await this.#rpc.ask((connection) =>
      connection.simulateTransaction(new VersionedTransaction(message), {
        sigVerify: false,
        replaceRecentBlockhash: true,
      }),
    );
    const { err, unitsConsumed } = value;
    if (err !== null || unitsConsumed === undefined) return undefined;
    return Math.min(Math.ceil(unitsConsumed * UNITS_MARGIN) + BUDGET_UNITS, MAX_UNITS - SERIALS);
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
      const prepared = await this.sign(instructions, signers, maxBid);
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
    if (failure.code !== 'INSUFFICIENT_FUNDS') this.size.refused(failure.message);
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
      await this.#rpc.wait(pause, signal);
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

  async #look({ signature, lastValidBlockHeight }: Sent, commitment: Commitment): Promise<Found> {
    const early = await this.#statusOf(signature);
    if (early.status !== null) return this.#foundAs(signature, early.status, commitment);
    // A block that no fork can undo: past the last one that may hold it, it can get in nowhere any more.
    const { blockHeight, absoluteSlot } = await this.#rpc.ask((connection) => connection.getEpochInfo('finalized'));
    if (blockHeight === undefined || BigInt(blockHeight) <= lastValidBlockHeight) return { state: 'pending' };
    // It may have got in between the two questions, and the second may be answered by a node that lags behind the first.
    const late = await this.#statusOf(signature);
    if (late.status !== null) return this.#foundAs(signature, late.status, commitment);
    return late.slot < absoluteSlot ? { state: 'pending' } : { state: 'expired' };
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
      const { events } = programEvents(this.#program, logs);
      const settled = events.find(({ name }) => name === 'settle')?.values;
      const withdrawn = events.find(({ name }) => name === 'withdraw')?.values['amount'];
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

const chargeAnswer = z.object({ value: z.number().int().nonnegative().nullable() });
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

function loadedLimit(bytes: number): TransactionInstruction {
  const data = Buffer.alloc(SET_LOADED_BYTES);
  data.writeUInt8(SET_LOADED_TAG, 0);
  data.writeUInt32LE(bytes, 1);
  return new TransactionInstruction({ programId: ComputeBudgetProgram.programId, keys: [], data });
}

function unitLimit(units: number): TransactionInstruction {
  return ComputeBudgetProgram.setComputeUnitLimit({ units });
}

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

function signed(
  instructions: readonly TransactionInstruction[],
  signers: readonly [Keypair, ...Keypair[]],
  block: BlockhashWithExpiryBlockHeight,
): PreparedTransaction {
  const transaction = new Transaction({ feePayer: signers[0].publicKey, ...block }).add(...instructions);
  const length = lengthOf(transaction);
  if (length > MAX_PACKET_BYTES) throw tooLong(length, MAX_PACKET_BYTES);
  transaction.sign(...signers);
  return {
    signature: bs58.encode(transaction.signature ?? new Uint8Array()),
    wire: Uint8Array.from(transaction.serialize()),
    lastValidBlockHeight: BigInt(block.lastValidBlockHeight),
  };
}
