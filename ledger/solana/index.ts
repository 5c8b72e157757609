/**
 * The Solana side of the ledger contract. Everything else in the house talks to `LedgerReader` and `LedgerWallet`
 * (ledger/contract.ts); this folder alone knows transactions, accounts and RPC.
 */
import { SolanaLedger } from './ledger.ts';
import type { SolanaLedgerOptions } from './options.ts';

/** Connects lazily: nothing is sent before the first call. @throws RelaymintError INVALID_CONFIG for a bad URL. */
export function openSolanaLedger(options: SolanaLedgerOptions): SolanaLedger {
  return new SolanaLedger(options);
}

export { SolanaLedger } from './ledger.ts';
export { SolanaWallet } from './wallet.ts';
export {
  generateWalletKey,
  parseWalletKey,
  readKeyFile,
  readSecretFile,
  walletAddress,
  walletKeyFromBase58,
  walletKeyFromSeed,
  writeKeyFile,
} from './keys.ts';
export type { WalletKey } from './keys.ts';
/** The program's own limits. */
export {
  MAX_CHALLENGE_SECONDS,
  MAX_COMMIT_SECONDS,
  MAX_FEE_BPS,
  MAX_NAME_YEAR_PRICE,
  MAX_SLOTS as MAX_TILL_SLOTS,
} from './program/layout.ts';
export type { SolanaLedgerOptions } from './options.ts';
