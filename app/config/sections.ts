/** The settings that several commands and roles share, grouped by topic. */
import { homedir } from 'node:os';
import path from 'node:path';
import {
  formatCredits,
  formatSol,
  lamports,
  type Amount,
  type BasisPoints,
  type Lamports,
  type Millis,
  type PricePerMiB,
} from '../../core/units.ts';
import { BID_PARTS, MAX_CLOSING_BID, SPEND_LIMIT, SPEND_LIMIT_PEER } from '../../core/limits.ts';
import { DEFAULT_MAX_PRIORITY_FEE, EMBEDDED_PROGRAM_ID, MAX_TILL_SLOTS } from '../../ledger/solana/index.ts';
import { parsePeer, type PeerAddress } from '../../node/discovery/index.ts';
import {
  ANONYMIZERS,
  PHASES,
  PREFERENCES,
  parseAddress,
  parseClientKey,
  parseEndpoint,
  parseLocations,
  parseTunnels,
  readAccessFile,
  unsupported,
  type Anonymizer,
  type Endpoint,
  type I2pTunnels,
  type Location,
  type OnionAccess,
  type Phase,
  type Preference,
} from '../../node/transport/index.ts';
import { nodeId, type LedgerAddress, type NodeId } from '../../core/ids.ts';
/** In a data folder: the wallet's key, as Solana's own tools write it. */
export const WALLET_FILE = 'wallet.json';
import { credits, duration, place, price, someWords, share, sol, wallet } from './grammars.ts';
import { count, grammar, list, oneOf, optional, standard, toggle, words, type Section } from './setting.ts';

/** Default share of what hosts earn with a name that its owner asks for. */
export const DEFAULT_ROYALTY = '20%';

/** Default port of the embedded ledger. */
export const DEFAULT_LEDGER_PORT = 8899;

/** Default port at which a gateway waits for browsers. */
export const DEFAULT_GATEWAY_PORT = 8402;

/** Default port of an issuer. */
export const DEFAULT_ISSUER_PORT = 8404;

/** Default port of the proxy of full mode. */
export const DEFAULT_FULL_PORT = 8403;

export function defaultDataDir(label: string): string {
  return path.join(homedir(), '.relaymint', label);
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What a command prints, and how. */
export interface Speech {
  readonly json: true | undefined;
  readonly logLevel: LogLevel;
}

/** `logLevel`: the least that is logged, unless another level is given. */
export function speechSection(logLevel: LogLevel = 'info'): Section<Speech> {
  return {
    json: toggle('--json', 'print only JSON on stdout', { onlyFlag: true }),
    logLevel: oneOf('--log-level <level>', LOG_LEVELS, 'log lines (JSON) on stderr', {}, logLevel),
  };
}

/** Which ledger, and which program on it. */
export interface LedgerPlace {
  /** URL of its JSON-RPC. */
  readonly ledger: string;
  readonly program: LedgerAddress;
}

export const ledgerSection: Section<LedgerPlace> = {
  ledger: standard(
    '--ledger <url>',
    words,
    "JSON-RPC URL of the ledger: the embedded one's or any Solana cluster's",
    `http://127.0.0.1:${DEFAULT_LEDGER_PORT}`,
  ),
  program: standard('--program <address>', wallet, 'address of the Relaymint program there', EMBEDDED_PROGRAM_ID, {
    standardHelp: "the embedded ledger's",
  }),
};

/** For commands that sign with a wallet, or look after one. */
export interface WalletPlace {
  /** Its key file. */
  readonly wallet: string | undefined;
  readonly data: string | undefined;
}

export const walletSection: Section<WalletPlace> = {
  wallet: optional('--wallet <file>', place, `Solana key file (default: ${WALLET_FILE} in the data folder)`),
  data: optional('--data <dir>', place, "data folder, for example a node's (default: ~/.relaymint/wallet)"),
};

/** Where this machine's certificate authority of full mode is. */
export interface AuthorityFolder {
  readonly ca: string;
}

export const authoritySection: Section<AuthorityFolder> = {
  ca: standard(
    '--ca <dir>',
    place,
    'folder of the certificate authority of full mode',
    path.join(homedir(), '.relaymint', 'ca'),
    { standardHelp: '~/.relaymint/ca' },
  ),
};

/** Addresses of this machine where a browser looks for localhost. */
export const BROWSERS_LOCALHOST: readonly string[] = ['127.0.0.1', '::1'];

/** Where a gateway has the proxy of full mode. */
export interface FullProxy {
  readonly full: number;
  readonly address: string;
}

/** For commands that say what to tell a browser: as the gateway is told, and by the same names in the environment. */
export const fullProxySection: Section<FullProxy> = {
  full: standard('--full <port>', count(1, 65_535), 'port that the gateway has with --full', String(DEFAULT_FULL_PORT)),
  address: oneOf('--address <ip>', BROWSERS_LOCALHOST, 'address that the gateway listens on', {}, '127.0.0.1'),
};

/** Of a command that asks a node, running or not. */
export interface NodeFolder {
  readonly data: string;
}

export const nodeFolderSection: Section<NodeFolder> = {
  data: standard('--data <dir>', place, "the node's data folder", defaultDataDir('relay')),
};

const maxPriorityFee = optional(
  '--max-priority-fee <sol>',
  sol,
  'most SOL that a transaction bids for its place in full blocks; it bids what others recently paid, and 0 never bids ' +
    `(default: ${formatSol(DEFAULT_MAX_PRIORITY_FEE)}; for closing channels 1/${BID_PARTS} of what they hold, at most ${formatSol(lamports(MAX_CLOSING_BID))})`,
);

/** Settings of a command that pays for transactions without a node. */
export const feeSection: Section<{ readonly maxPriorityFee: Lamports | undefined }> = { maxPriorityFee };

/** What every command that runs a node takes: who it is, whom it knows, and what it may spend. */
export interface NodeValues {
  readonly data: string | undefined;
  readonly label: string | undefined;
  readonly bootstrap: readonly PeerAddress[];
  readonly deposit: Amount;
  /** Most that a circuit may cost each MiB, all its hops together, and most that a relay pays onward. */
  readonly maxPrice: PricePerMiB | undefined;
  /** The least that is staked for a new channel: the window is as wide. */
  readonly opening: Amount | undefined;
  readonly maxOpening: Amount | undefined;
  readonly spendLimit: Amount;
  readonly spendLimitPeer: Amount;
  /** 0: never. */
  readonly closeIdle: Millis;
  readonly airdrop: Lamports | undefined;
  readonly maxPriorityFee: Lamports | undefined;
  readonly seed: string | undefined;
}

export function nodeSection(role: string): Section<NodeValues> {
  return {
    data: optional('--data <dir>', place, 'keys, books and content of this node', {
      standardHelp: `~/.relaymint/${role}`,
    }),
    label: optional('--label <name>', words, 'name of this node in logs and pages'),
    bootstrap: list(
      '--bootstrap <node@address>',
      grammar(parsePeer),
      'a node to learn others from: NODEID@MULTIADDR (repeatable)',
    ),
    deposit: standard(
      '--deposit <credits>',
      credits,
      'deposit of each channel to a neighbour that this node pays',
      '1',
    ),
    maxPrice: optional(
      '--max-price <credits>',
      price,
      'highest price per MiB of a circuit, all hops together (default: three times what the market asks)',
    ),
    opening: optional(
      '--opening <credits>',
      credits,
      'least stake of a new channel, which comes back when the channel closes; the neighbour lets this node owe as much as it staked (default: what its till asks)',
    ),
    maxOpening: optional(
      '--max-opening <credits>',
      credits,
      'highest stake of one channel, at its opening and later (default: one MiB at the highest price paid, later eight times that)',
    ),
    spendLimit: standard(
      '--spend-limit <credits>',
      credits,
      'most that is put into channels in an hour, beyond what was earned in that hour',
      formatCredits(SPEND_LIMIT),
    ),
    spendLimitPeer: standard(
      '--spend-limit-peer <credits>',
      credits,
      'the same limit for each wallet that is paid',
      formatCredits(SPEND_LIMIT_PEER),
    ),
    closeIdle: standard(
      '--close-idle <duration>',
      duration,
      'close channels that paid nothing for this long; 0 never closes them',
      '24h',
    ),
    airdrop: optional(
      '--airdrop <sol>',
      sol,
      'fill an empty wallet with this much SOL from the faucet and buy credits with half of it (test ledgers)',
    ),
    maxPriorityFee,
    seed: optional(
      '--seed <text>',
      someWords,
      'derive every key from this text and the label (tests only: whoever knows it owns the node)',
      { onlyFlag: true },
    ),
  };
}

const group = 'Anonymity (docs/anonymity.md):';

/** Where tor is. */
export interface TorValues {
  /** Undefined: it is looked for when it is first needed. */
  readonly torSocks: Endpoint | undefined;
  readonly torControl: Endpoint | undefined;
  /** Keys for private onion services of others. */
  readonly onionAuth: readonly OnionAccess[] | undefined;
  readonly torPasswordFile: string | undefined;
}

export const torSection: Section<TorValues> = {
  torSocks: optional(
    '--tor-socks <place>',
    grammar(parseEndpoint),
    "tor's SOCKS port: HOST:PORT of this machine or unix:/PATH (default: found automatically)",
    { group },
  ),
  torControl: optional(
    '--tor-control <place>',
    grammar(parseEndpoint),
    "tor's control port, for onion services of this node",
    { group },
  ),
  onionAuth: optional(
    '--onion-auth <file>',
    grammar(readAccessFile),
    'file of client keys for private onion services, made by "relaymint tor client-key"',
    { group },
  ),
  torPasswordFile: optional(
    '--tor-password-file <file>',
    place,
    "file with the password of tor's control port, if it takes no cookie",
    { group },
  ),
};

/** How a command reaches others. */
export interface OutboundValues extends TorValues {
  readonly anonymize: Anonymizer | undefined;
  /** Undefined: nothing goes over I2P. */
  readonly i2pSam: Endpoint | undefined;
  readonly i2pTunnels: Partial<I2pTunnels> | undefined;
  readonly loopbackOnly: true | undefined;
}

export const outboundSection: Section<OutboundValues> = {
  anonymize: oneOf(
    '--anonymize [network]',
    ANONYMIZERS,
    'reach everything through tor (or i2p), and publish nothing that shows where this node is',
    { preset: 'tor', group },
  ),
  ...torSection,
  i2pSam: optional(
    '--i2p-sam <place>',
    grammar(parseEndpoint),
    'SAM of an I2P router, usually 7656 (default: no I2P)',
    { group },
  ),
  i2pTunnels: optional(
    '--i2p-tunnels <settings>',
    grammar(parseTunnels),
    'hops and number of I2P tunnels: inbound.length=2,outbound.quantity=4',
    { group },
  ),
  loopbackOnly: toggle('--loopback-only', 'refuse every connection that would leave this machine', { group }),
};

/** How a node chooses between the ways to one peer. */
export interface PeerValues {
  /** Undefined: as `phaseOf` says. */
  readonly phase: Phase | undefined;
  readonly prefer: readonly (readonly [NodeId, Preference])[];
}

export const peerSection: Section<PeerValues> = {
  phase: oneOf(
    '--phase <phase>',
    PHASES,
    'direct first (optional), onion first (default), direct with a warning (deprecated), or onion only (tor-only)',
    { group },
  ),
  prefer: list(
    '--prefer <node=way>',
    grammar(parsePreference),
    'reach this node by direct, tor or hybrid: NODEID=tor (repeatable)',
    { group },
  ),
};

/** Where a node is that others reach. */
export interface ReachValues {
  /** Multiaddrs to listen on. */
  readonly listen: readonly string[];
  /** What others are told to dial instead (behind a port forwarding). */
  readonly announce: readonly string[];
  /** With any, only these are published. */
  readonly location: readonly (readonly Location[])[];
  /** Public keys of those who may reach its onion services, x25519; none: everybody. */
  readonly onionClient: readonly Uint8Array[];
  readonly onionKey: 'node' | 'ephemeral';
}

export const reachSection: Section<ReachValues> = {
  listen: list(
    '--listen <multiaddr>',
    grammar(addressText),
    'where to accept links (repeatable; default /ip4/127.0.0.1/tcp/0)',
  ),
  announce: list(
    '--announce <multiaddr>',
    grammar(addressText),
    'address that others should dial, if it differs from --listen (repeatable)',
  ),
  location: list(
    '--location <where>',
    grammar(parseLocations),
    'what to publish: AUTODETECT, UNREACHABLE, onion:PORT (an onion service of this node), onion:PORT:hiddenServiceDir=DIR, i2p, tcp:HOST:PORT or a multiaddr (repeatable, or separated by commas)',
    { group },
  ),
  onionClient: list(
    '--onion-client <key>',
    grammar(parseClientKey),
    'public key of a client that may find the onion service; without any, everybody may (repeatable)',
    { group },
  ),
  onionKey: oneOf(
    '--onion-key <key>',
    ['node', 'ephemeral'],
    'use the onion address of the node key, or a new one at each start',
    { group },
    'node',
  ),
};

/** What a till begins with: little rent, and room for a relay's usual neighbours. */
export const DEFAULT_SLOTS = '64';
const DEFAULT_MAX_SLOTS = '256';

/** How a node that is paid is paid. */
export interface TillValues {
  readonly settleFeeShare: BasisPoints;
  readonly exportReceipts: string | undefined;
  readonly slots: number;
  readonly maxSlots: number;
}

export const tillSection: Section<TillValues> = {
  settleFeeShare: standard(
    '--settle-fee-share <share>',
    share,
    'settle automatically once the fee is at most this share of the value; 0 waits until receipts are old, you ask, or the channel closes',
    '1%',
  ),
  exportReceipts: optional(
    '--export-receipts <file>',
    place,
    'keep the newest receipts in this file, for a watchtower',
  ),
  slots: standard(
    '--slots <n>',
    count(1, MAX_TILL_SLOTS),
    'neighbours that can pay at the same time (slots of a new till)',
    DEFAULT_SLOTS,
  ),
  maxSlots: standard(
    '--max-slots <n>',
    count(1, MAX_TILL_SLOTS),
    'slots up to which the till grows by itself when it is nearly full; each costs rent',
    DEFAULT_MAX_SLOTS,
  ),
};

function parsePreference(text: string): readonly [NodeId, Preference] {
  const [of = '', way = '', ...rest] = text.split('=');
  const preference = PREFERENCES.find((known) => known === way);
  if (preference === undefined || rest.length > 0) {
    throw new RangeError(`Write NODEID=${PREFERENCES.join(', NODEID=')}.`);
  }
  return [nodeId(of), preference];
}

/** @throws RelaymintError ADDRESS_UNSUPPORTED for what no transport of ours dials. */
function addressText(text: string): string {
  if (parseAddress(text) !== undefined) return text;
  throw unsupported(text, '/ip4/HOST/tcp/PORT, /dns/NAME/tcp/PORT, /onion3/ADDRESS:PORT or /garlic32/HASH');
}
