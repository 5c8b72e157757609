/**
 * The Solana side of the ledger contract. Everything else in the house talks to `LedgerReader` and `LedgerWallet`
 * (ledger/contract.ts); this folder alone knows transactions, accounts and RPC.
 */
import type { EmbeddedLedger, EmbeddedLedgerOptions } from './embedded/options.ts';
import { SolanaLedger } from './ledger.ts';
import type { SolanaLedgerOptions } from './options.ts';

/** Connects lazily: nothing is sent before the first call. @throws RelaymintError INVALID_CONFIG for a bad URL. */
export function openSolanaLedger(options: SolanaLedgerOptions): SolanaLedger {
  return new SolanaLedger(options);
}

/**
 * Starts a Solana cluster in this process, with the program on it when `programPath: programFile()` and a `programId` are
 * given: for tests and development. The virtual machine is loaded only now. @throws as embedded/index.ts says.
 */
export async function startEmbeddedLedger(options: EmbeddedLedgerOptions = {}): Promise<EmbeddedLedger> {
  const embedded = await import('./embedded/index.ts');
  return embedded.startEmbeddedLedger(options);
}

export { EMBEDDED_PROGRAM_ID } from './embedded/program-id.ts';
export type { EmbeddedLedger, EmbeddedLedgerOptions } from './embedded/options.ts';
export { programFile } from './program-file.ts';
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
  MAX_SLOTS as MAX_TILL_SLOTS,
} from './program/layout.ts';
export type { SolanaLedgerOptions } from './options.ts';
export { DEFAULT_MAX_PRIORITY_FEE } from './options.ts';
