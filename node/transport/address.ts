/** Multiaddr texts, read into what a transport needs. */
import { isIP } from 'node:net';
import { multiaddr } from '@multiformats/multiaddr';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_ADDRESS_BYTES } from '../../core/limits.ts';

/** Where a multiaddr leads. */
export type Destination =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'memory'; readonly name: string }
  /** `onion` is the 56 characters before ".onion", lower case. Its checksum is not looked at here. */
  | { readonly kind: 'onion'; readonly onion: string; readonly port: number }
  /** `garlic` is the 52 characters before ".b32.i2p", lower case. */
  | { readonly kind: 'garlic'; readonly garlic: string };

const HOST_PROTOCOLS: readonly string[] = ['ip4', 'ip6', 'dns', 'dns4', 'dns6'];

/**
 * undefined for anything that is not `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT`, `/onion3/ADDRESS:PORT`, `/garlic32/HASH` or
 * `/memory/NAME`. Never throws.
 */
export function parseAddress(address: string): Destination | undefined {
  if (address.length > MAX_ADDRESS_BYTES) return undefined;
  let components;
  try {
    components = multiaddr(address).getComponents();
  } catch {
    return undefined;
  }
  const [first, second] = components;
  if (first?.value === undefined) return undefined;
  if (first.name === 'memory' && components.length === 1) return { kind: 'memory', name: first.value };
  if (first.name === 'onion3' && components.length === 1) return onionDestination(first.value);
  if (first.name === 'garlic32' && components.length === 1) return garlicDestination(first.value);
  if (!HOST_PROTOCOLS.includes(first.name) || second?.name !== 'tcp' || components.length !== 2) return undefined;
  return { kind: 'tcp', host: first.value, port: Number(second.value) };
}

function onionDestination(value: string): Destination | undefined {
  const match = /^([a-z2-7]{56}):(\d{1,5})$/i.exec(value);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port < 1 || port > 65_535) return undefined;
  return { kind: 'onion', onion: match[1].toLowerCase(), port };
}

/** Plain destinations only: longer hashes name encrypted lease sets, which no transport of ours dials. */
function garlicDestination(value: string): Destination | undefined {
  return /^[a-z2-7]{52}$/i.test(value) ? { kind: 'garlic', garlic: value.toLowerCase() } : undefined;
}

/** `/onion3/ADDRESS:PORT`; `onion` without ".onion". */
export function onionMultiaddr(onion: string, port: number): string {
  return `/onion3/${onion}:${port}`;
}

/** `/garlic32/HASH`; `garlic` without ".b32.i2p". */
export function garlicMultiaddr(garlic: string): string {
  return `/garlic32/${garlic}`;
}

/** `/ip4/HOST/tcp/PORT` or `/ip6/..` for an IP address. */
export function tcpAddress(host: string, port: number): string {
  return `/${isIP(host) === 6 ? 'ip6' : 'ip4'}/${host}/tcp/${port}`;
}

/** True for 127.0.0.0/8, ::1, and localhost with the names below it. */
export function isLoopback(host: string): boolean {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  const family = isIP(bare);
  if (family === 4) return bare.startsWith('127.');
  if (family === 6) return /^(0{0,4}:){2,7}0{0,3}1$/.test(bare) || /^::ffff:127\./i.test(bare);
  return isLocalhost(bare);
}

/** localhost and every name below it: they stay on this machine whatever a resolver says (RFC 6761, section 6.3). */
export function isLocalhost(host: string): boolean {
  return /^(?:[a-z0-9-]+\.)*localhost$/i.test(host);
}

/** Names that only an anonymizing network knows: no resolver is ever asked for them (RFC 7686). */
export function isHiddenHost(host: string): boolean {
  return /\.(?:onion|i2p)\.?$/i.test(host);
}

export function unsupported(address: string, forms: string): RelaymintError {
  return new RelaymintError(
    'ADDRESS_UNSUPPORTED',
    `The address ${address.slice(0, MAX_ADDRESS_BYTES)} cannot be used.`,
    {
      remedy: `Write it as ${forms}.`,
    },
  );
}
