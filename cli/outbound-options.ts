/** The options that decide how a command reaches others, and what they become. */
import path from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { RelaymintError } from '../core/errors.ts';
import { nodeId, type NodeId } from '../core/ids.ts';
import {
  ANONYMIZERS,
  PHASES,
  PREFERENCES,
  assertAnonymous,
  hides,
  isLocalAddress,
  parseClientKey,
  parseEndpoint,
  parseLocations,
  parseTunnels,
  readAccessFile,
  type Anonymizer,
  type Endpoint,
  type I2pTunnels,
  type Location,
  type OnionAccess,
  type Phase,
  type Preference,
} from '../node/transport/index.ts';
import { collect, defaultDataDir, parsed } from './options.ts';
import { type OutboundSettings, ONION_PORT } from '../app/node/index.ts';

/** Of every command that reaches others. */
export interface OutboundOptions {
  readonly anonymize?: Anonymizer;
  readonly torSocks?: Endpoint;
  readonly torControl?: Endpoint;
  readonly torPasswordFile?: string;
  readonly onionAuth?: readonly OnionAccess[];
  readonly i2pSam?: Endpoint;
  readonly i2pTunnels?: Partial<I2pTunnels>;
  readonly loopbackOnly?: true;
}

/** Of commands that run a node. */
export interface PeerOptions {
  readonly phase?: Phase;
  readonly prefer?: readonly (readonly [NodeId, Preference])[];
}

/** Of commands whose node others reach. */
export interface LocationOptions {
  readonly location?: readonly (readonly Location[])[];
  readonly onionKey?: 'node' | 'ephemeral';
  /** Public keys of those who may reach it, x25519. */
  readonly onionClient?: readonly Uint8Array[];
}

/** Other options of the same commands that can reveal where a node is. */
export interface RevealingOptions {
  readonly ledger?: string;
  readonly listen?: readonly string[];
  readonly announce?: readonly string[];
  /** A gateway's address. */
  readonly address?: string;
}

const GROUP = 'Anonymity (docs/anonymity.md):';
const option = (flags: string, description: string): Option => new Option(flags, description).helpGroup(GROUP);

export function addOutboundOptions(command: Command): Command {
  command.addOption(
    option(
      '--anonymize [network]',
      'reach everything through tor (or i2p), and publish nothing that tells where this is',
    )
      .env('RELAYMINT_ANONYMIZE')
      .choices(ANONYMIZERS)
      .preset('tor'),
  );
  return addTorOptions(command)
    .addOption(
      option('--i2p-sam <place>', 'SAM of an I2P router, usually 7656 (default: no I2P)')
        .env('RELAYMINT_I2P_SAM')
        .argParser(parsed(parseEndpoint)),
    )
    .addOption(
      option(
        '--i2p-tunnels <settings>',
        'hops and number of I2P tunnels: inbound.length=2,outbound.quantity=4',
      ).argParser(parsed(parseTunnels)),
    )
    .addOption(option('--loopback-only', 'refuse every connection that would leave this machine'));
}

/** Where tor is. */
export function addTorOptions(command: Command): Command {
  return command
    .addOption(
      option(
        '--tor-socks <place>',
        "tor's SOCKS port: HOST:PORT of this machine or unix:/PATH (default: what is found)",
      )
        .env('RELAYMINT_TOR_SOCKS')
        .argParser(parsed(parseEndpoint)),
    )
    .addOption(
      option('--tor-control <place>', "tor's control port, for onion services of our own")
        .env('RELAYMINT_TOR_CONTROL')
        .argParser(parsed(parseEndpoint)),
    )
    .addOption(
      option('--onion-auth <file>', 'client keys for private onion services, as "relaymint tor client-key" makes them')
        .env('RELAYMINT_ONION_AUTH')
        .argParser(parsed(readAccessFile)),
    )
    .addOption(
      option('--tor-password-file <file>', "password of tor's control port, where it takes no cookie").env(
        'RELAYMINT_TOR_PASSWORD_FILE',
      ),
    );
}

export function addPeerOptions(command: Command): Command {
  return command
    .addOption(
      option(
        '--phase <phase>',
        'direct first (optional), onion first (default), direct with a warning (deprecated), or onion only (tor-only)',
      ).choices(PHASES),
    )
    .addOption(
      option('--prefer <node=way>', 'reach this node by direct, tor or hybrid: NODEID=tor (repeatable)').argParser(
        collect(parsePreference),
      ),
    );
}

export function addLocationOptions(command: Command): Command {
  return command
    .addOption(
      option(
        '--location <where>',
        'what to publish: AUTODETECT, UNREACHABLE, onion:PORT (a service of ours), onion:PORT:hiddenServiceDir=DIR, i2p, tcp:HOST:PORT or a multiaddr (repeatable, or with commas)',
      )
        .env('RELAYMINT_LOCATION')
        .argParser(collect(parseLocations)),
    )
    .addOption(
      option('--onion-client <key>', 'only holders of such client keys find the onion service (repeatable)').argParser(
        collect(parseClientKey),
      ),
    )
    .addOption(
      option(
        '--onion-key <key>',
        'the onion address is the one that belongs to the node key, or a new one at each start',
      )
        .choices(['node', 'ephemeral'])
        .default('node'),
    );
}

function parsePreference(text: string): readonly [NodeId, Preference] {
  const [node = '', way = '', ...rest] = text.split('=');
  const preference = PREFERENCES.find((known) => known === way);
  if (preference === undefined || rest.length > 0) {
    throw new InvalidArgumentError(`Write NODEID=${PREFERENCES.join(', NODEID=')}.`);
  }
  return [nodeId(node), preference];
}

/** @throws RelaymintError UNSAFE_CONFIG when something else that was asked for would undo --anonymize. */
export function outboundSettings(
  options: OutboundOptions & PeerOptions & LocationOptions & RevealingOptions,
): OutboundSettings {
  const { anonymize, phase, prefer = [], loopbackOnly = false } = options;
  if (anonymize !== undefined) {
    assertAnonymous({
      anonymize,
      locations: locationsOf(options),
      listen: options.listen ?? [],
      announce: options.announce ?? [],
      ledgerUrl: options.ledger,
      i2p: options.i2pSam !== undefined,
      tunnels: options.i2pTunnels ?? {},
      phase,
      preferences: prefer.map(([, preference]) => preference),
      loopbackOnly,
      gatewayAddress: options.address,
    });
  }
  assertPrivate(options);
  return {
    outbound: loopbackOnly ? 'loopback' : 'any',
    anonymize,
    torSocks: options.torSocks,
    torControl: options.torControl,
    torPasswordFile: options.torPasswordFile === undefined ? undefined : path.resolve(options.torPasswordFile),
    onionAccess: options.onionAuth ?? [],
    torData: defaultDataDir('tor'),
    i2pSam: options.i2pSam,
    i2pTunnels: options.i2pTunnels ?? {},
    // A node that publishes hidden addresses only would be found by its first direct connection, which any peer may ask for.
    phase: phase ?? (hides(locationsOf(options)) ? 'tor-only' : undefined),
    preferences: new Map(prefer),
  };
}

/**
 * Client keys close the onion service that we put up, and nothing else.
 * @throws RelaymintError INVALID_CONFIG when the node would be reached by another way as well.
 */
function assertPrivate(options: OutboundOptions & LocationOptions & RevealingOptions): void {
  if ((options.onionClient ?? []).length === 0) return;
  const locations = locationsOf(options);
  const ways = [
    ...locations
      .filter(({ kind }) => kind !== 'onion' && kind !== 'unreachable')
      .map(({ kind }) => `--location ${kind}`),
    ...(options.announce ?? []).map((address) => `--announce ${address}`),
    ...(options.listen ?? []).filter((address) => !isLocalAddress(address)).map((address) => `--listen ${address}`),
  ];
  if (ways.length === 0 && locations.some(({ kind }) => kind === 'onion')) return;
  const other = ways[0] ?? 'a node without --location onion:PORT';
  throw new RelaymintError('INVALID_CONFIG', `--onion-client does not close ${other}.`, {
    remedy:
      'Write --location onion:PORT and no other way in. For a service of your torrc, tor itself has authorized_clients.',
  });
}

/** Where a node is: what was said, or the safe default of who is anonymous; none: where it listens. */
export function locationsOf(options: OutboundOptions & LocationOptions & RevealingOptions): readonly Location[] {
  const said = options.location?.flat() ?? [];
  if (said.length > 0 || options.anonymize === undefined) return said;
  if ((options.announce ?? []).length > 0) return [];
  return options.anonymize === 'tor' ? [{ kind: 'onion', port: ONION_PORT }] : [{ kind: 'i2p' }];
}
