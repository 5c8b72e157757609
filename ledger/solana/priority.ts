/**
 * What to bid for a place in a block: what others recently paid to write the same accounts. Anybody can pay more for one
 * account and so raise what is asked of all who write it: no bid is without a cap.
 */
import { ComputeBudgetProgram } from '@solana/web3.js';
import type { PublicKey, TransactionInstruction } from '@solana/web3.js';
import { isRelaymintError } from '../../core/errors.ts';
import { BID_PARTS, LEAST_BID_LIMIT, MAX_CLOSING_BID, MAX_SETTLE_BID } from '../../core/limits.ts';
import { lamports } from '../../core/units.ts';
import type { Lamports } from '../../core/units.ts';
import { DEFAULT_MAX_PRIORITY_FEE } from './options.ts';
import type { Rpc } from './rpc.ts';

/** A node reports the lowest accepted bid of each of its last 150 blocks. Our bid would have got into this part of them. */
const PERCENTILE = 0.75;
const MICROS_PER_LAMPORT = 1_000_000n;
/** First byte of the instruction that sets the limit of compute units, and its length: u8, then u32. */
const SET_LIMIT_TAG = 2;
const SET_LIMIT_BYTES = 5;

export class PriorityFees {
  readonly #rpc: Rpc;
  readonly #cap: Lamports | undefined;

  /** `cap`: the most that any transaction pays on top of its base fee, whatever is at stake; 0 never bids. */
  constructor(rpc: Rpc, cap: Lamports | undefined) {
    this.#rpc = rpc;
    this.#cap = cap;
  }

  /**
   * Micro-lamports for a compute unit, as recent blocks asked of transactions that write these accounts. 0 when nobody has
   * to bid, or the node does not tell. @throws RelaymintError LEDGER_UNREACHABLE, CLOSED.
   */
  async asked(writable: readonly PublicKey[]): Promise<bigint> {
    if (this.#cap === 0n) return 0n;
    try {
      const recent = await this.#rpc.ask((connection) =>
        connection.getRecentPrioritizationFees({ lockedWritableAccounts: [...writable] }),
      );
      const fees = recent.map(({ prioritizationFee }) => prioritizationFee).sort((a, b) => a - b);
      return BigInt(Math.round(fees[Math.ceil(PERCENTILE * fees.length) - 1] ?? 0));
    } catch (error) {
      if (!isRelaymintError(error, 'LEDGER_REJECTED')) throw error;
      return 0n;
    }
  }

  /**
   * The bid for a transaction of at most `units`: what is asked, as far as the cap allows and as it is worth. Micro-lamports
   * per unit. `DEFAULT_MAX_PRIORITY_FEE` is the limit if neither is given.
   */
  within(asked: bigint, units: number, worth?: Lamports): bigint {
    const cap = this.#cap ?? worth ?? DEFAULT_MAX_PRIORITY_FEE;
    const limit = worth !== undefined && worth < cap ? worth : cap;
    const most = (limit * MICROS_PER_LAMPORT) / BigInt(Math.max(units, 1));
    return asked < most ? asked : most;
  }
}

/** What a transaction moves. */
export interface Stake {
  /** Credits, base units. */
  readonly units?: bigint;
  readonly lamports?: bigint;
  /** It closes a channel: somebody may have driven up the price to prevent that. */
  readonly closing?: true;
}

/** The most to bid for a transaction that moves this: a part of it, and never zero. */
export function mostBidFor({ units = 0n, lamports: moved = 0n, closing }: Stake, unitsPerLamport: bigint): Lamports {
  const part = (units / unitsPerLamport + moved) / BID_PARTS;
  const most = closing === true ? MAX_CLOSING_BID : MAX_SETTLE_BID;
  if (part > most) return lamports(most);
  return lamports(part < LEAST_BID_LIMIT ? LEAST_BID_LIMIT : part);
}

/** What a bid comes to; the network rounds up. */
export function priorityFee(price: bigint, units: number): Lamports {
  return lamports((price * BigInt(units) + MICROS_PER_LAMPORT - 1n) / MICROS_PER_LAMPORT);
}

/** Every account that the instructions write, each once. */
export function writableAccounts(instructions: readonly TransactionInstruction[]): readonly PublicKey[] {
  const found = new Map<string, PublicKey>();
  for (const { keys } of instructions) {
    for (const { pubkey, isWritable } of keys) if (isWritable) found.set(pubkey.toBase58(), pubkey);
  }
  return Array.from(found.values());
}

/** The limit of compute units that the instructions set themselves. */
export function unitLimitOf(instructions: readonly TransactionInstruction[]): number | undefined {
  for (const { programId, data } of instructions) {
    if (!programId.equals(ComputeBudgetProgram.programId)) continue;
    if (data[0] === SET_LIMIT_TAG && data.length === SET_LIMIT_BYTES) return data.readUInt32LE(1);
  }
  return undefined;
}
