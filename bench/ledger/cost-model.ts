/**
 * What a transaction costs the scheduler of a Solana leader, in its "cost units": blocks are filled up to a limit of
 * them, so they say what share of the chain somebody takes. Agave, `cost-model/src/block_cost_limits.rs` (the figures),
 * `cost-model/src/cost_model.rs`, `calculate_cost_for_executed_transaction` (the sum), and
 * `compute-budget/src/compute_budget_limits.rs` (`DEFAULT_HEAP_COST`, the price of a page of loaded accounts).
 */

/** Each signature of the transaction itself: 24 microseconds at 30 units. */
const SIGNATURE_COST = 720;
/** Each account that may be written, the fee payer's too. */
const WRITE_LOCK_COST = 300;
/** Bytes of instruction data, all instructions together, for one unit. */
const DATA_BYTES_PER_UNIT = 4;
/** Bytes of loaded accounts in a page that was begun, and what it costs. */
const LOADED_PAGE_BYTES = 32 * 1024;
const LOADED_PAGE_COST = 8;
/** Counted for each account beside its data: SIMD-0186. */
export const LOADED_ACCOUNT_OVERHEAD_BYTES = 64;

export interface TransactionFigures {
  readonly signatures: number;
  readonly writeLocks: number;
  /** Of all instructions together. */
  readonly dataBytes: number;
  /** What the programs consumed, compute-budget requests included. */
  readonly computeUnits: number;
  /** Accounts and programs, with their overhead. */
  readonly loadedBytes: number;
}

export function costUnits(figures: TransactionFigures): number {
  return (
    figures.signatures * SIGNATURE_COST +
    figures.writeLocks * WRITE_LOCK_COST +
    Math.floor(figures.dataBytes / DATA_BYTES_PER_UNIT) +
    figures.computeUnits +
    Math.ceil(figures.loadedBytes / LOADED_PAGE_BYTES) * LOADED_PAGE_COST
  );
}
