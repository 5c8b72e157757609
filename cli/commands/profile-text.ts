/** How profiles are shown to people, and how their parts are written on a command line. */
import { fromHex } from '../../core/codec.ts';
import { KEY_BYTES } from '../../core/ids.ts';
import { printable } from '../../core/printable.ts';
import type { ProfileJson, ProfileLink } from '../../sites/profile/index.ts';
import { printableLines } from '../output.ts';
import { properties } from './transact.ts';

/** `Papers=https://example.org/`, or `Wall=forum.web3`. @throws RangeError */
export function parseLink(text: string): ProfileLink {
  const at = text.indexOf('=');
  if (at > 0 && at < text.length - 1) return { label: text.slice(0, at), to: text.slice(at + 1) };
  throw new RangeError('Write what it is called and where it leads: Papers=https://example.org/ or Wall=forum.web3.');
}

/** @throws RangeError */
export function parseMessagingKey(text: string): Uint8Array {
  if (/^[0-9a-f]+$/i.test(text) && text.length === KEY_BYTES * 2) return fromHex(text.toLowerCase());
  throw new RangeError(`Write an X25519 public key: ${KEY_BYTES * 2} hexadecimal digits.`);
}

/** What others wrote moves nothing but itself. */
export function profileLines(profile: ProfileJson): string {
  const { name, displayName, about, avatar, links, owner, payout, wallets, messagingKey } = profile;
  const [, ...bound] = wallets;
  const rows: readonly (readonly [string, string])[] = [
    ['owner', owner],
    ...bound.map((wallet) => ['wallet', wallet] as const),
    ...(payout === owner ? [] : [['pay to', payout] as const]),
    ...(messagingKey === undefined ? [] : [['messaging key', messagingKey] as const]),
    ...(avatar === undefined ? [] : [['picture', avatar] as const]),
    ...links.map(({ label, to }) => [printable(label), printable(to)] as const),
  ];
  const said = about === undefined ? [] : ['', printableLines(about)];
  return [`${name}: ${printable(displayName)}`, ...said, '', properties(rows)].join('\n');
}
