/**
 * Where bytes become money: the public door of `relaymint/ledger`. The contract (`LedgerReader`, `LedgerWallet`), its
 * Solana implementation, receipts, the accounts between neighbours, and settlement.
 */
export type {
  Balances,
  BankState,
  ChannelState,
  Commitment,
  ContentShare,
  LedgerReader,
  LedgerWallet,
  NameRecord,
  PreparedTransaction,
  SettleFees,
  SettleItem,
  Split,
  SubmissionStatus,
  TillState,
  TransactionResult,
} from './contract.ts';
export * from './accounting/index.ts';
export * from './receipt/index.ts';
export * from './settlement/index.ts';
export {
  generateWalletKey,
  openSolanaLedger,
  readKeyFile,
  walletAddress,
  walletKeyFromBase58,
  walletKeyFromSeed,
  writeKeyFile,
} from './solana/index.ts';
export type { SolanaLedgerOptions, WalletKey } from './solana/index.ts';
