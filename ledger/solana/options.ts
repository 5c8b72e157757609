import type { LedgerAddress } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { lamports } from '../../core/units.ts';
import type { Lamports } from '../../core/units.ts';

/** Twenty times the base fee of a signature: dear enough for a busy hour, cheap enough to be wrong about. */
export const DEFAULT_MAX_PRIORITY_FEE: Lamports = lamports(100_000n);

export interface SolanaLedgerOptions {
  /** The cluster's or the embedded ledger's JSON-RPC endpoint. It may carry an API key: it never appears in errors. */
  readonly url: string;
  readonly programId: LedgerAddress;
  /** Every request goes through this: a node hands in its transport policy's, a script may hand in the platform's. */
  readonly fetch: typeof globalThis.fetch;
  /** How long one request may take, milliseconds. Default 30,000 (a Tor circuit may have to be built first). */
  readonly timeoutMillis?: number;
  /** Most that one transaction bids beside its base fee when blocks are full; 0 never bids. Default `DEFAULT_MAX_PRIORITY_FEE`. */
  readonly maxPriorityFee?: Lamports;
  readonly clock?: Clock;
  readonly log?: Log;
}
