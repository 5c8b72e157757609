/** Options that several commands share. */
import path from 'node:path';
import type { Command } from 'commander';
import {
  WALLET_FILE,
  assertSafe,
  defaultDataDir,
  flagsOnly,
  ledgerSection,
  optional,
  outboundSection,
  speechSection,
  torSection,
  walletSection,
  words,
  type LedgerPlace,
  type OutboundValues,
  type Section,
  type Speech,
  type WalletPlace,
} from '../app/config/index.ts';
import { addSettings } from './settings.ts';

export type CommonOptions = Speech;
export type LedgerOptions = LedgerPlace;
/** Of a command that reaches others. */
export type OutboundOptions = OutboundValues;
/** Of a command that reads the ledger. */
export interface ReaderOptions extends CommonOptions, LedgerOptions, OutboundOptions {}
/** Of a command that signs with a wallet. */
export interface WalletOptions extends ReaderOptions, WalletPlace {}

export function addCommonOptions(command: Command): Command {
  return addSettings(command, speechSection());
}

/** Another word for `--ledger`, where one comes from Solana's own tools. */
export const urlSection: Section<{ readonly url: string | undefined }> = flagsOnly({
  url: optional('--url <url>', words, "the same as --ledger, as Solana's own tools call it"),
});

/** Options with `--url` put where `--ledger` is read. */
export function withUrl<T extends { readonly ledger: string; readonly url?: string | undefined }>(options: T): T {
  return options.url === undefined ? options : { ...options, ledger: options.url };
}

export function addLedgerOptions(command: Command): Command {
  return addSettings(command, ledgerSection);
}

/** For commands that sign with a wallet, or look after one. */
export function addWalletOptions(command: Command): Command {
  return addSettings(command, walletSection);
}

export function addOutboundOptions(command: Command): Command {
  return addSettings(command, outboundSection);
}

/** Where tor is. */
export function addTorOptions(command: Command): Command {
  return addSettings(command, torSection);
}

/**
 * How a command without a node reaches others.
 * @throws RelaymintError UNSAFE_CONFIG when something else that was asked for would undo --anonymize.
 */
export function outboundOf(options: OutboundOptions & Partial<LedgerOptions>): OutboundOptions {
  const { ledger } = options;
  const peers = { phase: undefined, prefer: [] };
  assertSafe({ reach: undefined, outbound: options, peers, ...(ledger === undefined ? {} : { ledger: { ledger } }) });
  return options;
}

/** The key file that `--wallet` or `--data` names. The wallet's other files are beside it. */
export function walletFile(options: Pick<WalletOptions, 'wallet' | 'data'>): string {
  return path.resolve(options.wallet ?? path.join(options.data ?? defaultDataDir('wallet'), WALLET_FILE));
}
