/** Options that several commands share, and how their texts become values. */
import { homedir } from 'node:os';
import path from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { messageOf } from '../core/errors.ts';
import { BID_PARTS, MAX_CLOSING_BID, SPEND_LIMIT, SPEND_LIMIT_PEER, SPEND_LIMIT_SITE } from '../core/limits.ts';
import { ledgerAddress, type LedgerAddress } from '../core/ids.ts';
import {
  formatCredits,
  formatSol,
  lamports,
  parseCredits,
  parseSol,
  pricePerMiB,
  type Amount,
  type Lamports,
  type PricePerMiB,
} from '../core/units.ts';
import { MAX_TILL_SLOTS, DEFAULT_MAX_PRIORITY_FEE, EMBEDDED_PROGRAM_ID } from '../ledger/solana/index.ts';
import { WALLET_FILE } from '../app/node/index.ts';
import { parsePeer, type PeerAddress } from '../node/discovery/index.ts';
import { parseAddress, unsupported } from '../node/transport/index.ts';

/** Where the embedded ledger answers unless told otherwise. */
export const DEFAULT_LEDGER_PORT = 8899;
const DEFAULT_LEDGER_URL = `http://127.0.0.1:${DEFAULT_LEDGER_PORT}`;

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

/** For options that may be given several times. */
export function collect<T>(
  decode: (text: string) => T,
): (text: string, previous: readonly T[] | undefined) => readonly T[] {
  const one = parsed(decode);
  return (text, previous) => [...(previous ?? []), one(text)];
}

export const credits: (text: string) => Amount = parsed(parseCredits);
const price: (text: string) => PricePerMiB = parsed((text) => pricePerMiB(parseCredits(text)));
export const sol: (text: string) => Lamports = parsed(parseSol);

/** The main price of a node that nobody pays. */
export const SELLS_NOTHING: PricePerMiB = pricePerMiB(0n);

/** An option that takes credits. (The help cannot print a bigint default by itself.) */
export function creditsOption(flags: string, description: string, standard: Amount): Option {
  return new Option(flags, description).argParser(credits).default(standard, formatCredits(standard));
}

/** An option that takes credits per MiB. */
export function priceOption(flags: string, description: string, standard: PricePerMiB): Option {
  return new Option(flags, description).argParser(price).default(standard, formatCredits(standard));
}

export function defaultDataDir(label: string): string {
  return path.join(homedir(), '.relaymint', label);
}

export interface CommonOptions {
  readonly json?: true;
  readonly logLevel: string;
}

export function addCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print JSON, and nothing else, on stdout')
    .addOption(
      new Option('--log-level <level>', 'log lines (JSON) on stderr')
        .choices(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
        .env('RELAYMINT_LOG_LEVEL')
        .default('info'),
    );
}

export interface LedgerOptions {
  readonly ledger: string;
  readonly program: LedgerAddress;
}

/** Which ledger, without which program on it. */
export function ledgerUrlOption(): Option {
  return new Option('--ledger <url>', "JSON-RPC URL of the ledger: the embedded one's or any Solana cluster's")
    .env('RELAYMINT_LEDGER')
    .default(DEFAULT_LEDGER_URL);
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
  return command.addOption(ledgerUrlOption()).addOption(
    new Option('--program <address>', 'address of the Relaymint program there')
      .env('RELAYMINT_PROGRAM')
      .argParser(parsed((text: string) => ledgerAddress(text)))
      .default(EMBEDDED_PROGRAM_ID, "the embedded ledger's"),
  );
}

export interface WalletOptions extends CommonOptions, LedgerOptions {
  readonly wallet?: string;
  readonly data?: string;
}

/** For commands that sign with a wallet, or look after one. */
export function addWalletOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--wallet <file>', `Solana key file (default: ${WALLET_FILE} in the data folder)`).env(
        'RELAYMINT_WALLET',
      ),
    )
    .addOption(
      new Option('--data <dir>', "data folder, for example a node's (default: ~/.relaymint/wallet)").env(
        'RELAYMINT_DATA',
      ),
    );
}

/** The key file that `--wallet` or `--data` names. What belongs to the wallet lies beside it. */
export function walletFile(options: Pick<WalletOptions, 'wallet' | 'data'>): string {
  return path.resolve(options.wallet ?? path.join(options.data ?? defaultDataDir('wallet'), WALLET_FILE));
}

export interface NodeOptions extends CommonOptions, LedgerOptions {
  readonly data?: string;
  readonly label?: string;
  readonly bootstrap: readonly PeerAddress[];
  readonly deposit: Amount;
  readonly maxPrice?: PricePerMiB;
  readonly opening?: Amount;
  readonly maxOpening?: Amount;
  readonly spendLimit: Amount;
  readonly spendLimitPeer: Amount;
  readonly spendLimitSite?: Amount;
  readonly closeIdle: number;
  readonly airdrop?: Lamports;
  readonly maxPriorityFee?: Lamports;
  readonly seed?: string;
}

/** Most that one transaction bids beside its base fee, whatever is at stake. */
export function priorityFeeOption(): Option {
  return new Option(
    '--max-priority-fee <sol>',
    'most that one transaction bids for its place in full blocks; it bids what others recently paid, 0 never bids ' +
      `(default: ${formatSol(DEFAULT_MAX_PRIORITY_FEE)}; where channels are closing 1/${BID_PARTS} of what they hold, at most ${formatSol(lamports(MAX_CLOSING_BID))})`,
  ).argParser(sol);
}

const DEFAULT_IDLE_HOURS = 24;

/** For a gateway: what it pays for one site. */
export function siteLimitOption(): Option {
  return creditsOption(
    '--spend-limit-site <credits>',
    "most that one site's pages and files may cost in an hour",
    SPEND_LIMIT_SITE,
  );
}

/** For a node that carries circuits onward. */
export function privateHopsOption(): Option {
  return new Option(
    '--allow-private-hops',
    'let circuits of others lead into private networks too (a network of your own)',
  );
}

/** What every command that runs a node takes. */
export function addNodeOptions(command: Command, role: string): Command {
  addCommonOptions(command);
  addLedgerOptions(command);
  return command
    .addOption(
      new Option('--data <dir>', 'keys, books and content of this node')
        .env('RELAYMINT_DATA')
        .default(undefined, `~/.relaymint/${role}`),
    )
    .option('--label <name>', 'what logs and pages call this node')
    .option(
      '--bootstrap <node@address>',
      'a node to learn others from: NODEID@MULTIADDR (repeatable)',
      collect(parsePeer),
      [],
    )
    .addOption(
      creditsOption(
        '--deposit <credits>',
        'deposit of a channel to a neighbour that this node pays',
        parseCredits('1'),
      ),
    )
    .addOption(
      new Option(
        '--max-price <credits>',
        'most that a MiB may cost on a circuit, all hops together (default: three times what the market asks)',
      ).argParser(price),
    )
    .addOption(
      new Option(
        '--opening <credits>',
        'least that is staked for a new channel, and comes back at its close: a neighbour lets this node owe as much (default: what its till asks)',
      ).argParser(credits),
    )
    .addOption(
      new Option(
        '--max-opening <credits>',
        'most that is staked for one channel, when it is opened and later (default: one MiB at the highest price that is paid, and later eight times that)',
      ).argParser(credits),
    )
    .addOption(
      creditsOption(
        '--spend-limit <credits>',
        'most that goes into channels in an hour, beyond what was earned in it',
        SPEND_LIMIT,
      ),
    )
    .addOption(creditsOption('--spend-limit-peer <credits>', 'the same for one wallet that is paid', SPEND_LIMIT_PEER))
    .option(
      '--close-idle <hours>',
      'close channels from which nothing was paid for this long; 0 never does',
      wholeNumber(0, 8760),
      DEFAULT_IDLE_HOURS,
    )
    .option(
      '--airdrop <sol>',
      'test ledgers: fill an empty wallet from the faucet and buy credits with half of it',
      sol,
    )
    .addOption(priorityFeeOption())
    .option(
      '--seed <text>',
      'derive every key from this text and the label (tests only: whoever knows it owns the node)',
    );
}

export interface EarningOptions {
  readonly settleFeeShare: number;
  readonly exportReceipts?: string;
}

/** What a command takes whose node earns. */
export function addEarningOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--settle-fee-share <percent>',
        'settle unasked once the fee is at most this share of the value; 0 waits until it is old, asked for, or its channel closes',
      )
        .argParser(parsed(parseShare))
        .default(DEFAULT_FEE_SHARE_BPS, '1'),
    )
    .option('--export-receipts <file>', 'keep the newest receipts in this file, for a watchtower');
}

/** The greatest royalty that a host pays, for a command that serves names' content. */
export function maxRoyaltyOption(): Option {
  return new Option(
    '--max-royalty <share>',
    "most of what a name's content earned that its owner gets, whatever royalty the name asks: 50% or, in basis points, 5000",
  )
    .argParser(royalty)
    .default(DEFAULT_MAX_ROYALTY_BPS, '50%');
}

const DEFAULT_MAX_ROYALTY_BPS = 5_000;

/** "20%" or "2000" basis points. */
export function royalty(text: string): number {
  const [, share = '', percent] = /^(\d+(?:\.\d{1,2})?)(%?)$/.exec(text) ?? [];
  const bps = percent === '%' ? Math.round(Number(share) * 100) : Number(share);
  if (share !== '' && Number.isInteger(bps) && bps <= 10_000) return bps;
  throw new InvalidArgumentError('Write 0% to 100%, or basis points from 0 to 10000.');
}

const DEFAULT_FEE_SHARE_BPS = 100;

/** "2.5" per cent -> 250 basis points. @throws RangeError */
function parseShare(text: string): number {
  const match = /^(\d{1,3})(?:\.(\d{1,2}))?$/.exec(text.trim());
  const bps = match === null ? Number.NaN : Number(match[1]) * 100 + Number((match[2] ?? '').padEnd(2, '0'));
  if (bps >= 0 && bps <= 10_000) return bps;
  throw new RangeError('Write a percentage from 0 to 100 with at most two decimals, for example 2.5.');
}

export interface ListenOptions {
  readonly listen: readonly string[];
  readonly announce: readonly string[];
}

export function addListenOptions(command: Command): Command {
  return command
    .option(
      '--listen <multiaddr>',
      'where to accept links (repeatable; default /ip4/127.0.0.1/tcp/0)',
      collect(addressText),
      [],
    )
    .option(
      '--announce <multiaddr>',
      'what others are told to dial, when it differs (repeatable)',
      collect(addressText),
      [],
    );
}

/** @throws RelaymintError ADDRESS_UNSUPPORTED for what no transport of ours dials. */
function addressText(text: string): string {
  if (parseAddress(text) !== undefined) return text;
  throw unsupported(text, '/ip4/HOST/tcp/PORT, /dns/NAME/tcp/PORT, /onion3/ADDRESS:PORT or /garlic32/HASH');
}

export interface TillOptions {
  readonly slots: number;
  readonly maxSlots: number;
}

/** What a till begins with: little rent, and room for a relay's usual neighbours. */
const DEFAULT_SLOTS = 64;
const DEFAULT_MAX_SLOTS = 256;

/** For commands that run a node which is paid. */
export function addTillOptions(command: Command): Command {
  return command
    .option(
      '--slots <n>',
      'neighbours that can pay at the same time (slots of a new till)',
      wholeNumber(1, MAX_TILL_SLOTS),
      DEFAULT_SLOTS,
    )
    .option(
      '--max-slots <n>',
      'up to how many the till grows by itself when it is nearly full; each takes rent',
      wholeNumber(1, MAX_TILL_SLOTS),
      DEFAULT_MAX_SLOTS,
    );
}
