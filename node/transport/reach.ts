/** Which IP addresses lead out into the public internet, and which into somebody's own network. */
import { BlockList, isIP, isIPv6 } from 'node:net';

/** IANA's special-purpose IPv4 blocks: this host, private, CGNAT, loopback, link-local, protocols, documentation, relays, benchmarks, multicast, reserved. */
const CLOSED_IPV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  // A public address that every machine in Azure finds its own host's agent at.
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
/**
 * Of IPv6 only 2000::/3 is handed out for the public at all: loopback, unspecified, ULA, link-local, multicast and what
 * carries an IPv4 address (::ffff:.., 64:ff9b::) are outside of it. Within it these are not public: protocols and Teredo,
 * documentation (twice), 6to4.
 */
const CLOSED_IPV6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const closed = new BlockList();
for (const [net, prefix] of CLOSED_IPV4) closed.addSubnet(net, prefix, 'ipv4');
for (const [net, prefix] of CLOSED_IPV6) closed.addSubnet(net, prefix, 'ipv6');
const global = new BlockList();
global.addSubnet('2000::', 3, 'ipv6');

/** True for an IP address that the public internet routes. False for anything else, names included. */
export function isPublicIp(ip: string): boolean {
  if (isIP(ip) === 0) return false;
  // A zone ("fe80::1%eth0") is for this machine's own links.
  if (isIPv6(ip)) return !ip.includes('%') && global.check(ip, 'ipv6') && !closed.check(ip, 'ipv6');
  return !closed.check(ip, 'ipv4');
}

/** The network of a public IP address: "ip4 a.b" for the /16 of IPv4, "ip6 a:b" for the /32 of IPv6; undefined for anything else. */
export function networkOfIp(ip: string): string | undefined {
  if (!isPublicIp(ip)) return undefined;
  if (!isIPv6(ip)) return `ip4 ${ip.split('.', 2).join('.')}`;
  // As URLs write it: the shortest way, always the same. Two colons after the first group stand for zeros.
  const [first, second] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split(':', 2);
  return `ip6 ${first}:${second === '' ? '0' : second}`;
}
