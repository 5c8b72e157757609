/**
 * What must not be asked for together with anonymity. Each refusal names the setting, says what it would reveal and what to
 * write instead; nothing is opened before all of this holds.
 */
import { RelaymintError } from '../../core/errors.ts';
import { isLoopback, parseAddress } from './address.ts';
import { isLocalAddress, reveals, type Location } from './location.ts';
import type { Phase, Preference } from './preference.ts';

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
    if (!isLocalAddress(address) && parseAddress(address)?.kind === 'tcp') {
      throw unsafe(
        '--listen',
        address,
        'anybody could connect there and see where this node is',
        'Listen on loopback.',
      );
    }
  }
  for (const address of settings.announce) {
    if (parseAddress(address)?.kind === 'tcp') {
      throw unsafe('--announce', address, 'it tells everybody an address that is not hidden', ANNOUNCE);
    }
  }
  if (settings.ledgerUrl !== undefined) assertLedger(settings.ledgerUrl, settings.anonymize);
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

const ANNOUNCE = 'Announce an onion or garlic address, or --location UNREACHABLE.';

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
function assertLedger(text: string, anonymize: Anonymizer): void {
  const url = new URL(text);
  const host = url.hostname;
  const hidden = anonymize === 'tor' ? ['.onion'] : ['.i2p', '.onion'];
  if (hidden.some((end) => host.endsWith(end))) return;
  const remedy =
    anonymize === 'tor'
      ? "Give the ledger's onion address, or an https URL of a public one."
      : "Give the ledger's .b32.i2p address: I2P leads to nothing else.";
  if (anonymize === 'i2p') throw unsafe('--ledger', text, 'it is not reached through I2P', remedy);
  if (isLoopback(host) || !host.includes('.') || isPrivateNumber(host)) {
    throw unsafe('--ledger', text, 'only a plain TCP connection from this machine reaches it', remedy);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'wss:') {
    throw unsafe('--ledger', text, 'the exit of Tor could read and change what is not encrypted', remedy);
  }
}

function isPrivateNumber(host: string): boolean {
  return /^(?:10|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01]))\./.test(host) || /^\[f[cde]/i.test(host);
}

function unsafe(setting: string, value: string, why: string, remedy: string): RelaymintError {
  return new RelaymintError('UNSAFE_CONFIG', `${setting} ${value} does not go with --anonymize: ${why}.`, {
    remedy,
    details: { setting },
  });
}
