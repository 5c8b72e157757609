import type { LedgerAddress } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';

export interface SolanaLedgerOptions {
  /** The cluster's or the embedded ledger's JSON-RPC endpoint. It may carry an API key: it never appears in errors. */
  readonly url: string;
  readonly programId: LedgerAddress;
  /** Every request goes through this: a node hands in its transport policy's, a script may hand in the platform's. */
  readonly fetch: typeof globalThis.fetch;
  /** How long one request may take, milliseconds. Default 30,000 (a Tor circuit may have to be built first). */
  readonly timeoutMillis?: number;
  readonly clock?: Clock;
  readonly log?: Log;
}
