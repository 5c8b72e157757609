/**
 * When and what to settle. A settlement is recorded before it is sent and booked exactly once, whenever the process
 * dies; receipts of different payers share a transaction, and what names earned goes with them.
 */
import type { Clock, Log } from '../../core/ports.ts';
import type { Amount, Lamports, UnixMillis } from '../../core/units.ts';
import type { BookStore } from '../accounting/index.ts';
import type { ChannelState, LedgerReader, LedgerWallet, TransactionResult } from '../contract.ts';

export interface SettlementPolicy {
  /**
   * Settle unasked when this much is unsettled, base units. Default 500,000: a transaction costs 5,000 lamports, however
   * many receipts it carries, 1 % of that. Receipts below a fifth of it wait for company, or for their age.
   */
  readonly threshold: Amount;
  /** Value is settled after this long whatever its amount, milliseconds. Default one day. */
  readonly maxAgeMillis: number;
  /** How often the till is looked at: close requests, top-ups, the threshold. Milliseconds, default 10,000. Much shorter than any challenge period. */
  readonly pollMillis: number;
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
  /** Told what the ledger shows of each of our till's channels; the account book's `update`. */
  readonly onChannel?: (channel: ChannelState) => void;
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

/** All that these books ever settled; survives restarts. `signatures` are the latest 100. */
export interface SettlementTotals {
  readonly transactions: number;
  readonly receipts: number;
  readonly amount: Amount;
  readonly computeUnits: number;
  readonly feeLamports: Lamports;
  readonly signatures: readonly string[];
}

export interface SettlementEngine extends AsyncDisposable {
  /**
   * Settles everything that is unsettled now, whatever its amount. Resolves with what this call put on chain once all
   * of it is confirmed and booked; [] when there was nothing.
   * @throws RelaymintError LEDGER_UNREACHABLE (after retries), LEDGER_REJECTED, PROGRAM_ERROR, CLOSED.
   */
  settleAll(signal?: AbortSignal): Promise<readonly Settlement[]>;
  /** Settles, then mints what the till earned to its owner. undefined when there was nothing to withdraw. */
  withdraw(signal?: AbortSignal): Promise<TransactionResult | undefined>;
  totals(): SettlementTotals;
  /** Signed to us and not settled yet. */
  unsettled(): Amount;
  /** Stops the clockwork and waits for what is under way. Settle before, if that is wanted: a receipt keeps. */
  close(): Promise<void>;
}
