/** Locations of a node: the words that people write, and what they mean. */
import { isIP } from 'node:net';
import path from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_ADDRESS_BYTES } from '../../core/limits.ts';
import { isLoopback, onionMultiaddr, parseAddress, tcpAddress } from './address.ts';
import { parseEndpoint, type Endpoint } from './endpoint.ts';
import { readOnion } from './tor/address.ts';

export type Location =
  /** Every address of this machine. */
  | { readonly kind: 'autodetect' }
  /** None: others do not dial us. */
  | { readonly kind: 'unreachable' }
  /** An onion service that we put up, of the node's onion key. */
  | { readonly kind: 'onion'; readonly port: number }
  /** An onion service that the torrc makes; tor hands its visitors over at `local`. */
  | { readonly kind: 'torrc'; readonly port: number; readonly hiddenServiceDir: string; readonly local: Endpoint }
  /** Our I2P destination. */
  | { readonly kind: 'i2p' }
  /** What others should dial, set up elsewhere: a port forwarding, or a tor that maps an onion service. */
  | { readonly kind: 'hint'; readonly text: string; readonly address: string };

const FORMS =
  'Write AUTODETECT, UNREACHABLE, onion:PORT, onion:PORT:hiddenServiceDir=DIR:local=HOST:PORT, i2p, tcp:HOST:PORT or a multiaddr.';

/** Reads one word or several with commas between them. @throws RelaymintError INVALID_ARGUMENT. */
export function parseLocations(text: string): Location[] {
  return text.split(',').map((word) => parseLocation(word.trim()));
}

function parseLocation(text: string): Location {
  const word = text.toUpperCase();
  if (word === 'AUTODETECT') return { kind: 'autodetect' };
  if (word === 'UNREACHABLE') return { kind: 'unreachable' };
  if (word === 'I2P') return { kind: 'i2p' };
  const service = /^onion:(\d{1,5})(?::(.+))?$/i.exec(text);
  if (service !== null) return onionLocation(text, Number(service[1]), service[2]);
  if (text.startsWith('/') && text.length <= MAX_ADDRESS_BYTES) {
    if (parseAddress(text) === undefined) throw refusal(text);
    return { kind: 'hint', text, address: text };
  }
  const hint = /^(?:tcp:)?(\[[0-9a-f:.]+\]|[a-z0-9.-]+):(\d{1,5})$/i.exec(text);
  const port = Number(hint?.[2]);
  // Tahoe's users wrote port 0 behind a name that does not exist, to say "don't call us".
  if (hint?.[1] === undefined || port > 65_535) throw refusal(text);
  if (port === 0) return { kind: 'unreachable' };
  return { kind: 'hint', text, address: hostAddress(hint[1].replace(/^\[|\]$/g, ''), port) };
}

function hostAddress(host: string, port: number): string {
  if (host.toLowerCase().endsWith('.onion')) return onionMultiaddr(readOnion(host).onion, port);
  return isIP(host) === 0 ? `/dns/${host}/tcp/${port}` : tcpAddress(host, port);
}

function onionLocation(text: string, port: number, rest: string | undefined): Location {
  if (port < 1 || port > 65_535) throw refusal(text);
  if (rest === undefined) return { kind: 'onion', port };
  const parts = /^hiddenServiceDir=(\/[^:]+)(?::local=(.+))?$/.exec(rest);
  if (parts?.[1] === undefined) throw refusal(text);
  const local = parseEndpoint(parts[2] ?? String(port));
  return { kind: 'torrc', port, hiddenServiceDir: path.resolve(parts[1]), local };
}

function refusal(text: string): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `"${text.slice(0, MAX_ADDRESS_BYTES)}" is no location.`, {
    remedy: FORMS,
  });
}

/** True when publishing this location tells where we are. */
export function reveals(location: Location): boolean {
  if (location.kind === 'autodetect') return true;
  if (location.kind !== 'hint') return false;
  const destination = parseAddress(location.address);
  return destination?.kind === 'tcp';
}

/** True when something is published, and nothing of it tells where we are. */
export function hides(locations: readonly Location[]): boolean {
  return locations.some(({ kind }) => kind !== 'unreachable') && !locations.some(reveals);
}

/** True when only this machine can reach the address. */
export function isLocalAddress(address: string): boolean {
  const destination = parseAddress(address);
  return destination?.kind === 'memory' || (destination?.kind === 'tcp' && isLoopback(destination.host));
}
