/** Who has an address, as far as the address tells. */
import { isIP } from 'node:net';

const TRANSLATED = '64:ff9b:0:0:0:0';

/**
 * An IPv4 address, or the /64 of one IPv6 customer, who has all of its addresses. What is no address stays as it is.
 *
 * An IPv4 address that a translator wrote into 64:ff9b::/96 (RFC 6052) counts as that address: otherwise all of IPv4 would be one customer to
 * an IPv6-only node. Translators with their own prefix look like any customer, and so do the many behind one IPv4 address of a NAT.
 */
export function customerOf(ip: string): string {
  const bare = ip.replace(/^::ffff:(?=\d+\.)/i, '');
  if (isIP(bare) !== 6) return bare;
  const groups = groupsOf(bare.replace(/%.*$/, ''));
  if (groups.slice(0, 6).join(':') !== TRANSLATED) return groups.slice(0, 4).join(':');
  return groups
    .slice(6)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.');
}

/** All eight, without leading zeros. */
function groupsOf(ip: string): string[] {
  // As URLs write it: one that ends like IPv4 too.
  const [head = '', tail] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - groups.length - after.length;
  return [...groups, ...Array.from({ length: zeros }, () => '0'), ...after];
}
