/** Which hosts Tor can reach at all. */
import { BlockList, isIP } from 'node:net';
import { isLocalhost } from '../address.ts';

/** Addresses that mean this machine or its own network: at an exit they would mean the exit's. */
const OWN = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 3],
] as const) {
  OWN.addSubnet(network, bits, 'ipv4');
}
for (const [network, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const) {
  OWN.addSubnet(network, bits, 'ipv6');
}

/** True for a name or number of this machine or of its own network, with or without brackets. IPv4 in IPv6 counts as IPv4. */
export function isOwnNetwork(host: string): boolean {
  const bare = bareHost(host);
  const family = isIP(bare);
  if (family !== 0) return bare.includes('%') || OWN.check(bare, family === 6 ? 'ipv6' : 'ipv4');
  const name = bare.replace(/\.$/, '');
  return isLocalhost(name) || /(?:^|\.)local$/i.test(name);
}

/** Without the brackets that a URL puts around IPv6. */
export function bareHost(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}
