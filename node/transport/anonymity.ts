/**
 * What must not be asked for together with anonymity. Each refusal names the setting, says what it would reveal and what to
 * write instead; nothing is opened before all of this holds.
 */
import { isIP } from 'node:net';
import { RelaymintError } from '../../core/errors.ts';
import { isLoopback } from './address.ts';
import type { I2pTunnels } from './i2p/transport.ts';
import { isLocalAddress, reveals, type Location } from './location.ts';
import { isAnonymizing, type Phase, type Preference } from './preference.ts';
import { bareHost, isOwnNetwork } from './tor/reach.ts';

/** The network that hides a node. */
export type Anonymizer = 'tor' | 'i2p';
export const ANONYMIZERS: readonly Anonymizer[] = ['tor', 'i2p'];

/** The settings of a node or command, as far as they can reveal something. */
export interface RevealingSettings {
  readonly anonymize: Anonymizer;
  readonly locations: readonly Location[];
  /** Multiaddrs of --listen. */
  readonly listen: readonly string[];
  /** Multiaddrs of --announce. */
  readonly announce: readonly string[];
  readonly ledgerUrl: string | undefined;
  /** An I2P router is set up. */
  readonly i2p: boolean;
  readonly tunnels: Partial<I2pTunnels>;
  /** Undefined: not given. */
  readonly phase: Phase | undefined;
  readonly preferences: readonly Preference[];
  readonly loopbackOnly: boolean;
  /** Address that a gateway serves visitors at. */
  readonly gatewayAddress: string | undefined;
}

/** @throws RelaymintError UNSAFE_CONFIG for the first setting that would reveal the node. */
export function assertAnonymous(settings: RevealingSettings): void {
  for (const location of settings.locations) assertLocation(location);
  for (const address of settings.listen) {
    if (!isLocalAddress(address) && !isAnonymizing(address)) {
      throw unsafe(
        '--listen',
        address,
        'anybody could connect there and see where this node is',
        'Listen on loopback.',
      );
    }
  }
  for (const address of settings.announce) assertPublishable('--announce', address);
  for (const [direction, hops] of [
    ['inbound', settings.tunnels.inboundLength],
    ['outbound', settings.tunnels.outboundLength],
  ] as const) {
    if (hops !== 0) continue;
    const why = 'a tunnel without hops shows the router of this machine';
    throw unsafe('--i2p-tunnels', `${direction}.length=0`, why, 'Leave it out, or give each tunnel at least one hop.');
  }
  if (settings.ledgerUrl !== undefined) assertLedger(settings.ledgerUrl, settings);
  if (settings.phase !== undefined && settings.phase !== 'tor-only') {
    const why = 'it falls back to direct connections';
    throw unsafe('--phase', settings.phase, why, 'Leave it out, or write tor-only.');
  }
  for (const preference of settings.preferences) {
    if (preference === 'tor') continue;
    throw unsafe('--prefer', preference, 'it connects to that peer directly', 'Leave it out, or write tor.');
  }
  if (settings.loopbackOnly) {
    const why = 'an anonymous node connects to this machine only for its proxy';
    throw unsafe('--loopback-only', 'true', why, 'Leave one of the two out.');
  }
  if (settings.gatewayAddress !== undefined && !isLoopback(settings.gatewayAddress)) {
    const why = 'visitors who can reach it see where this node is';
    throw unsafe('--address', settings.gatewayAddress, why, 'Serve on 127.0.0.1, and give others an onion service.');
  }
}

/** @throws RelaymintError UNSAFE_CONFIG for an address that is neither of Tor nor of I2P; `setting` is where it came from. */
export function assertPublishable(setting: string, address: string): void {
  if (isAnonymizing(address)) return;
  const remedy = 'Announce an onion or garlic address, or --location UNREACHABLE.';
  throw unsafe(setting, address, 'it publishes an address that is not hidden to everybody', remedy);
}

function assertLocation(location: Location): void {
  if (!reveals(location)) return;
  const remedy = 'Write onion:PORT, i2p or UNREACHABLE.';
  if (location.kind === 'autodetect') {
    throw unsafe('--location', 'AUTODETECT', 'it publishes the addresses of this machine', remedy);
  }
  const text = location.kind === 'hint' ? location.text : location.kind;
  throw unsafe('--location', text, 'it publishes an address that is not hidden', remedy);
}

/**
 * A ledger on this machine or its network is out of an exit's reach, so that only a direct connection would get there; and
 * what is not encrypted can be read and changed by the exit.
 */
function assertLedger(text: string, { anonymize, i2p }: Pick<RevealingSettings, 'anonymize' | 'i2p'>): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // What follows the host may be an API key: no message has it.
  const shown = url === undefined ? '' : `${url.protocol}//${url.host}`;
  if (url === undefined || url.host === '') {
    throw new RelaymintError('INVALID_ARGUMENT', '--ledger is not a URL.', {
      remedy: 'Give a whole URL: https://HOST, or http://ADDRESS.onion.',
    });
  }
  const host = url.hostname.replace(/\.$/, '');
  if (host.endsWith('.onion')) return;
  if (host.endsWith('.i2p')) {
    if (i2p) return;
    throw unsafe('--ledger', shown, 'only I2P leads there, and no router is set up', 'Give --i2p-sam.');
  }
  const remedy =
    anonymize === 'tor'
      ? "Give the ledger's onion address, or an https URL of a public one."
      : "Give the ledger's .b32.i2p address: I2P leads to nothing else.";
  if (anonymize === 'i2p') throw unsafe('--ledger', shown, 'it is not reached through I2P', remedy);
  if (isOwnNetwork(host) || (isIP(bareHost(host)) === 0 && !host.includes('.'))) {
    throw unsafe('--ledger', shown, 'only a plain TCP connection from this machine reaches it', remedy);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'wss:') {
    throw unsafe('--ledger', shown, 'the exit of Tor could read and change what is not encrypted', remedy);
  }
}

function unsafe(setting: string, value: string, why: string, remedy: string): RelaymintError {
  return new RelaymintError('UNSAFE_CONFIG', `${setting} ${value} does not go with --anonymize: ${why}.`, {
    remedy,
    details: { setting },
  });
}
