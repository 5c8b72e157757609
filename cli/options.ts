/** Options that several commands share, and how their texts become values. */
import path from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { messageOf } from '../core/errors.ts';
import { formatShare, parseDuration, parseShare } from '../core/grammar.ts';
import { formatCredits, parseCredits, parseSol, type Amount, type Lamports } from '../core/units.ts';
import {
  WALLET_FILE,
  assertSafe,
  defaultDataDir,
  ledgerSection,
  outboundSection,
  speechSection,
  torSection,
  walletSection,
  type LedgerPlace,
  type OutboundValues,
  type Speech,
  type WalletPlace,
} from '../app/config/index.ts';
import { addSettings, optionOf } from './settings.ts';

/** Turns a decoder's error into commander's, which names the option. */
export function parsed<T>(decode: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return decode(text);
    } catch (error) {
      throw new InvalidArgumentError(messageOf(error));
    }
  };
}

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** A share, in basis points. */
export function shareUpTo(max: number): (text: string) => number {
  return parsed((text) => {
    const share = parseShare(text);
    if (share <= max) return share;
    throw new RangeError(`It can be ${formatShare(max)} at most.`);
  });
}

/** For options that may be given several times. */
export function collect<T>(
  decode: (text: string) => T,
): (text: string, previous: readonly T[] | undefined) => readonly T[] {
  const one = parsed(decode);
  return (text, previous) => [...(previous ?? []), one(text)];
}

export const credits: (text: string) => Amount = parsed(parseCredits);
export const sol: (text: string) => Lamports = parsed(parseSol);
/** Basis points. */
export const share: (text: string) => number = parsed(parseShare);

/** An option that takes credits. (The help cannot print a bigint default by itself.) */
export function creditsOption(flags: string, description: string, standard: Amount): Option {
  return new Option(flags, description).argParser(credits).default(standard, formatCredits(standard));
}

/** An option that takes a duration; its value is milliseconds. */
export function durationOption(
  flags: string,
  description: string,
  { standard, least, most }: { readonly standard: string; readonly least: string; readonly most: string },
): Option {
  const within = (text: string): number => {
    const millis = parseDuration(text);
    if (millis >= parseDuration(least) && millis <= parseDuration(most)) return millis;
    throw new RangeError(`It must be from ${least} to ${most}.`);
  };
  return new Option(flags, description).argParser(parsed(within)).default(parseDuration(standard), standard);
}

export type CommonOptions = Speech;
export type LedgerOptions = LedgerPlace;
/** Of a command that reaches others. */
export type OutboundOptions = OutboundValues;
/** Of a command that reads the ledger. */
export interface ReaderOptions extends CommonOptions, LedgerOptions, OutboundOptions {}
/** Of a command that signs with a wallet. */
export interface WalletOptions extends ReaderOptions, WalletPlace {}

export function addCommonOptions(command: Command): Command {
  return addSettings(command, speechSection);
}

/** Which ledger, without which program on it. */
export function ledgerUrlOption(): Option {
  return optionOf(ledgerSection.ledger);
}

/** Another word for `--ledger`, where one comes from Solana's own tools. */
export function urlOption(): Option {
  return new Option('--url <url>', "the same as --ledger, as Solana's own tools call it");
}

/** Options with `--url` put where `--ledger` is read. */
export function withUrl<T extends { readonly ledger: string; readonly url?: string }>(options: T): T {
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
