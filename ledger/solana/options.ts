import type { LedgerAddress } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { MAX_SETTLE_BID } from '../../core/limits.ts';
import { lamports } from '../../core/units.ts';
import type { Lamports } from '../../core/units.ts';

/** What a transaction bids at most if it is not known what is at stake. */
export const DEFAULT_MAX_PRIORITY_FEE: Lamports = lamports(MAX_SETTLE_BID);

export interface SolanaLedgerOptions {
  /** The cluster's or the embedded ledger's JSON-RPC endpoint. It may carry an API key: it never appears in errors. */
  readonly url: string;
  readonly programId: LedgerAddress;
  /** Every request goes through this: a node passes its transport policy's, a script may pass the platform's. */
  readonly fetch: typeof globalThis.fetch;
  /** How long one request may take, milliseconds. Default 30,000 (a Tor circuit may have to be built first). */
  readonly timeoutMillis?: number;
  /**
   * The most that one transaction bids on top of its base fee when blocks are full, whatever is at stake; 0 never bids. When absent,
   * a settlement bids what its caller says, what moves money a tenth of it at most (at least 10,000 lamports, at most as much as a
   * settlement), and all else at most `DEFAULT_MAX_PRIORITY_FEE`.
   */
  readonly maxPriorityFee?: Lamports;
  readonly clock?: Clock;
  readonly log?: Log;
}
