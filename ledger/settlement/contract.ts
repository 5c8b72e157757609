/**
 * When and what to settle. A settlement is recorded before it is sent and booked exactly once, whenever the process
 * dies; receipts of different payers share a transaction, and what names earned goes with them.
 */
import type { LedgerAddress } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { Amount, Lamports, UnixMillis } from '../../core/units.ts';
import type { BookStore } from '../accounting/index.ts';
import type { ChannelState, LedgerReader, LedgerWallet, TransactionResult } from '../contract.ts';
import type { SettlementJournal } from './history.ts';
import type { Batch } from './plan.ts';

export interface SettlementPolicy {
  /**
   * Settle automatically once the expected fee, at the bank's price of lamports, is at most this share of what it settles, in
   * basis points. Default 100, one per cent. A receipt joins a transaction if its own part of the fee is below the share.
   */
  readonly maxFeeShareBps: number;
  /**
   * The highest royalty that a settlement pays to a name, basis points. The owner may raise the royalty after content was served,
   * so content under a higher royalty pays this much. Default 5,000, half.
   */
  readonly maxRoyaltyBps: number;
  /** Value that waited this long, milliseconds, is settled as soon as it is worth more than the fee. Default one day. */
  readonly maxAgeMillis: number;
  /** How often the till is looked at: close requests, top-ups, what waits. Milliseconds, default 10,000; a quarter of the challenge period at most. */
  readonly pollMillis: number;
  /**
   * How long a settlement waits for the ledger to say which names exist, milliseconds, unless a channel closes: what is settled without a name
   * leaves nothing to pay it from. Default 10,000.
   */
  readonly learningMillis: number;
  /** First pause after the ledger could not be reached, milliseconds; doubles each time. Default 500. */
  readonly retryMillis: number;
  /** Attempts before a call gives up; its record stays and is taken up again. Default 8. */
  readonly attempts: number;
}

export interface SettlementOptions {
  /** The same store as the account book's. */
  readonly store: BookStore;
  readonly wallet: LedgerWallet;
  readonly reader: LedgerReader;
  readonly policy?: Partial<SettlementPolicy>;
  /** Called with what the ledger shows for each channel of our till; the account book's `update`. */
  readonly onChannel?: (channel: ChannelState) => void;
  /** Called with each channel that the ledger closed for good; the account book's `forget`. */
  readonly onClosed?: (channel: ChannelState) => void;
  /** Called with each receipt that was settled and with each withdrawal, to show to people. Optional. */
  readonly journal?: SettlementJournal;
  readonly clock?: Clock;
  readonly log?: Log;
}

/** One settlement that is on chain. */
export interface Settlement {
  readonly signature: string;
  readonly receipts: number;
  /** What it moved from deposits to the till and the names, base units. */
  readonly amount: Amount;
  readonly computeUnits: number;
  readonly feeLamports: Lamports;
  readonly at: UnixMillis;
}

/** Totals of everything these books ever settled; they survive restarts. `signatures` are the latest 100. */
export interface SettlementTotals {
  readonly transactions: number;
  readonly receipts: number;
  readonly amount: Amount;
  readonly computeUnits: number;
  readonly feeLamports: Lamports;
  readonly signatures: readonly string[];
}

/** A transaction as it would be sent now. */
export interface PlannedBatch extends Batch {
  /** The most that it bids on top of its base fee. */
  readonly maxBid: Lamports;
}

/** What the till had earned is minted to its owner. */
export interface Withdrawal extends TransactionResult {
  readonly amount: Amount;
}

export interface SettlementEngine extends AsyncDisposable {
  /**
   * Settles everything that is unsettled now, whatever its amount. Resolves with what this call put on chain once all
   * of it is confirmed and booked; [] when there was nothing.
   * @throws RelaymintError LEDGER_UNREACHABLE (after retries), INSUFFICIENT_FUNDS (for fees), LEDGER_REJECTED (some receipts
   * were refused, the others settled), CLOSED, ABORTED.
   */
  settleAll(signal?: AbortSignal): Promise<readonly Settlement[]>;
  /**
   * Settles, then mints what the till earned to its owner. undefined when there was nothing to withdraw. A withdrawal that could not
   * be followed to its end is taken up again like a settlement. Errors as `settleAll`; LEDGER_REJECTED for receipts comes after the
   * withdrawal, whose `signature` is in its details; TIMEOUT when the ledger lets every attempt expire.
   */
  withdraw(signal?: AbortSignal): Promise<Withdrawal | undefined>;
  /** What `settleAll` would put on chain now, one transaction per batch. Nothing is sent. Errors as `settleAll`. */
  plan(signal?: AbortSignal): Promise<readonly PlannedBatch[]>;
  totals(): SettlementTotals;
  /**
   * What is kept of each payer's opening payments, base units: what it left unpaid, and what was burned for its circuits and has
   * not come back. Payers that owe nothing are left out.
   */
  debts(): ReadonlyMap<LedgerAddress, Amount>;
  /** Receipts signed to us and not settled yet. */
  unsettled(): Amount;
  /** Stops the timers and waits for what is under way. It settles nothing: call `settleAll` first, or keep the receipts for later. */
  close(): Promise<void>;
}
