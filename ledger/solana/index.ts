/**
 * The Solana side of the ledger contract. Everything else in the house talks to `LedgerReader` and `LedgerWallet`
 * (ledger/contract.ts); this folder alone knows transactions, accounts and RPC.
 */
import type { LedgerAddress } from '../../core/ids.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { SolanaLedger } from './ledger.ts';

export interface SolanaLedgerOptions {
  /** The cluster's or the embedded ledger's JSON-RPC endpoint. It may carry an API key: it never appears in errors. */
  readonly url: string;
  readonly programId: LedgerAddress;
  /** Every request goes through this, so that the transport policy owns the sockets. Default: the platform's fetch. */
  readonly fetch?: typeof globalThis.fetch;
  /** How long one request may take, milliseconds. Default 30,000 (a Tor circuit may have to be built first). */
  readonly timeoutMillis?: number;
  readonly clock?: Clock;
  readonly log?: Log;
}

/** Connects lazily: nothing is sent before the first call. @throws RelaymintError INVALID_CONFIG for a bad URL. */
export function openSolanaLedger(options: SolanaLedgerOptions): SolanaLedger {
  return new SolanaLedger(options);
}

export { SolanaLedger } from './ledger.ts';
export { SolanaWallet } from './wallet.ts';
export {
  generateWalletKey,
  readKeyFile,
  walletAddress,
  walletKeyFromBase58,
  walletKeyFromSeed,
  writeKeyFile,
} from './keys.ts';
export type { WalletKey } from './keys.ts';
