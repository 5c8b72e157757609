/**
 * Where bytes become money: the public door of `relaymint/ledger`. From the outside in:
 *
 * - `openSolanaLedger` reads a cluster (`LedgerReader`) and opens wallets on it (`LedgerWallet`);
 * - receipts: `signReceipt`, `verifyReceipt` and their bytes;
 * - `program`: one builder per instruction, the account decoders, addresses, layouts and errors, for callers that send
 *   transactions with their own client;
 * - `startEmbeddedLedger`: a real virtual machine with the program in it, for tests and development;
 * - `Deployment`: puts the program on a cluster;
 * - the accounts between neighbours and the settlement that a node runs.
 *
 * docs/ledger-client.md has samples of each.
 */
export { RelaymintError, isRelaymintError } from '../core/errors.ts';
export type { ErrorCode } from '../core/errors.ts';
export { channelId, ledgerAddress, ledgerAddressBytes } from '../core/ids.ts';
export type { ChannelId, LedgerAddress } from '../core/ids.ts';
export { amount, formatCredits, formatSol, lamports, parseCredits, parseSol } from '../core/units.ts';
export type { Amount, Lamports, UnixSeconds } from '../core/units.ts';
export type {
  Balances,
  BankState,
  ChannelState,
  Commitment,
  ContentShare,
  LedgerReader,
  LedgerWallet,
  MovedBySettling,
  NameCommitment,
  NamePurchase,
  NameRecord,
  NameRegistration,
  PreparedTransaction,
  RegistrationOptions,
  RegistrationStep,
  SettleFees,
  SettleItem,
  Split,
  SubmissionStatus,
  TillState,
  TillTerms,
  TransactionResult,
} from './contract.ts';
export * from './accounting/index.ts';
export * from './receipt/index.ts';
export * from './term.ts';
export * from './settlement/index.ts';
export {
  EMBEDDED_PROGRAM_ID,
  SolanaLedger,
  SolanaWallet,
  generateWalletKey,
  openSolanaLedger,
  parseWalletKey,
  programFile,
  readKeyFile,
  startEmbeddedLedger,
  walletAddress,
  walletKeyFromBase58,
  walletKeyFromSeed,
  writeKeyFile,
} from './solana/index.ts';
export type { EmbeddedLedger, EmbeddedLedgerOptions, SolanaLedgerOptions, WalletKey } from './solana/index.ts';
export { Deployment, clusterTagOf, readCluster, readDeployed } from './solana/deployment/index.ts';
export type {
  ClusterInfo,
  DeployedProgram,
  DeploymentOptions,
  DeploymentPlan,
  DeploymentResult,
  DeploymentRun,
} from './solana/deployment/index.ts';
export * as program from './solana/program/index.ts';
