/** Prices and signs transactions: what they may take, what they bid, and in which format. Nothing is sent. */
import { randomInt } from 'node:crypto';
import {
  ComputeBudgetProgram,
  Transaction,
  TransactionInstruction,
  TransactionMessage,
  VersionedTransaction,
} from '@solana/web3.js';
import type { BlockhashWithExpiryBlockHeight, Keypair, PublicKey } from '@solana/web3.js';
import bs58 from 'bs58';
import { z } from 'zod';
import { isRelaymintError } from '../../core/errors.ts';
import { lamports } from '../../core/units.ts';
import type { Lamports } from '../../core/units.ts';
import type { PreparedTransaction } from '../contract.ts';
import { fitsPacket, lengthOf, NO_BLOCKHASH, tooLong } from './legacy-length.ts';
import { loadedBytes } from './loaded-bytes.ts';
import { priorityFee, unitLimitOf, writableAccounts } from './priority.ts';
import type { PriorityFees } from './priority.ts';
import type { Rpc } from './rpc.ts';
import { MAX_PACKET_BYTES, MAX_VERSION_ONE_BYTES } from './transaction-size.ts';
import type { TransactionSize } from './transaction-size.ts';
import { signVersionOne } from './version-one.ts';

/** What the network gives each instruction by default, and at most to all of them. */
const UNITS_PER_INSTRUCTION = 200_000;
const MAX_UNITS = 1_400_000;
/** Range of the figure that tells equal transactions apart. */
const SERIALS = 0x10000;
/** A transaction may take a little more when it is carried out than when it was tried. */
const UNITS_MARGIN = 1.2;
/** The instructions that set limit and price were not in the trial. */
const BUDGET_UNITS = 1_000;
/** `SetLoadedAccountsDataSizeLimit`, for which web3.js has no builder: u8, then u32. */
const SET_LOADED_TAG = 4;
const SET_LOADED_BYTES = 5;
const SIGNATURE_BYTES = 64;

export class Preparer {
  /** How long a transaction may be here. */
  readonly size: TransactionSize;
  readonly #rpc: Rpc;
  readonly #fees: PriorityFees;
  #serial = randomInt(SERIALS);

  constructor(rpc: Rpc, fees: PriorityFees, size: TransactionSize) {
    this.#rpc = rpc;
    this.#fees = fees;
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

  /** Signs what `Submitter.run` sends, with a fresh blockhash. */
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
}

const chargeAnswer = z.object({ value: z.number().int().nonnegative().nullable() });

function loadedLimit(bytes: number): TransactionInstruction {
  const data = Buffer.alloc(SET_LOADED_BYTES);
  data.writeUInt8(SET_LOADED_TAG, 0);
  data.writeUInt32LE(bytes, 1);
  return new TransactionInstruction({ programId: ComputeBudgetProgram.programId, keys: [], data });
}

function unitLimit(units: number): TransactionInstruction {
  return ComputeBudgetProgram.setComputeUnitLimit({ units });
}

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
