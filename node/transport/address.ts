/** Multiaddr texts, read into what a transport needs. */
import { isIP } from 'node:net';
import { multiaddr } from '@multiformats/multiaddr';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_ADDRESS_BYTES } from '../../core/limits.ts';

/** Where a multiaddr leads. */
export type Destination =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'memory'; readonly name: string };

const HOST_PROTOCOLS: readonly string[] = ['ip4', 'ip6', 'dns', 'dns4', 'dns6'];

/** undefined for anything that is not `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT` or `/memory/NAME`. Never throws. */
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
  if (!HOST_PROTOCOLS.includes(first.name) || second?.name !== 'tcp' || components.length !== 2) return undefined;
  return { kind: 'tcp', host: first.value, port: Number(second.value) };
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

export function unsupported(address: string, forms: string): RelaymintError {
  return new RelaymintError(
    'ADDRESS_UNSUPPORTED',
    `The address ${address.slice(0, MAX_ADDRESS_BYTES)} cannot be used.`,
    {
      remedy: `Write it as ${forms}.`,
    },
  );
}
