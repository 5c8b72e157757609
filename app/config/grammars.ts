/** The grammars that settings share: what people write, and the branded value that it becomes. */
import { isIP } from 'node:net';
import path from 'node:path';
import { formatShare, parseDuration, parseShare, parseSize } from '../../core/grammar.ts';
import { ledgerAddress, nodeId, type LedgerAddress, type NodeId } from '../../core/ids.ts';
import { parseName, parseNewName } from '../../core/name.ts';
import {
  parseCredits,
  parseSol,
  pricePerMiB,
  unixMillis,
  type Amount,
  type BasisPoints,
  type Bytes,
  type Lamports,
  type Millis,
  type PricePerMiB,
  type UnixMillis,
} from '../../core/units.ts';
import { count, grammar, type Grammar } from './setting.ts';

/** `off`: not even in memory. */
export type Keeping = Bytes | 'off';

/** Of DNS. */
const MAX_HOST_NAME = 253;
/** Below it there has to be room for a label. */
const MAX_PUBLIC_DOMAIN: number = MAX_HOST_NAME - 64;
const HOST_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

export const credits: Grammar<Amount> = grammar(parseCredits);
export const price: Grammar<PricePerMiB> = grammar((text) => pricePerMiB(parseCredits(text)));
export const sol: Grammar<Lamports> = grammar(parseSol);
export const share: Grammar<BasisPoints> = grammar(parseShare);
export const size: Grammar<Bytes> = grammar(parseSize);
/** What a gateway keeps of content: bytes on disk, or nothing anywhere. */
export const keeping: Grammar<Keeping> = grammar((text) => (text === 'off' ? text : parseSize(text)));
export const duration: Grammar<Millis> = grammar(parseDuration);
/** A day, or a minute of it, by the clock of UTC. */
export const instant: Grammar<UnixMillis> = grammar((text) => {
  const millis = /^\d{4}-\d\d-\d\d(T\d\d:\d\dZ)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isFinite(millis))
    throw new RangeError('Write a date, or a time in UTC: 2026-12-31, or 2026-12-31T18:00Z.');
  // February 30 would be March 2.
  const day = text.slice(0, 'YYYY-MM-DD'.length);
  if (!new Date(millis).toISOString().startsWith(day)) throw new RangeError(`There is no ${day}.`);
  return unixMillis(millis);
});
/** A token that is taken as payment: its mint, and what a MiB costs in whole tokens. */
export interface SoldForToken {
  readonly mint: LedgerAddress;
  /** A decimal; how many decimals the token has, the chain says. */
  readonly price: string;
}
/** More than nothing. */
export const salePrice: Grammar<PricePerMiB> = grammar((text) => {
  const perMiB = parseCredits(text);
  if (perMiB > 0n) return pricePerMiB(perMiB);
  throw new RangeError('It must be more than 0: without it nothing is sold, and everybody may visit.');
});
/** `MINT=0.0001`. */
export const soldForToken: Grammar<SoldForToken> = grammar((text) => {
  const [mint = '', cost = '', ...rest] = text.split('=');
  if (rest.length > 0 || !/^\d{1,12}(\.\d{1,18})?$/.test(cost) || !/[1-9]/.test(cost)) {
    throw new RangeError('Write the mint of a token and what a MiB costs in it: MINT=0.0001.');
  }
  return { mint: ledgerAddress(mint), price: cost };
});
export function sizeFrom(least: number): Grammar<Bytes> {
  return grammar((text) => {
    const value = parseSize(text);
    if (value >= least) return value;
    throw new RangeError(`It must be ${least / 1024 ** 2}M at least.`);
  });
}
/** An absolute path. Blank text is refused, or an unset variable would mean the working folder. */
export const place: Grammar<string> = grammar((text) => path.resolve(filled(text, 'Name a folder or a file.')));
/** Any text but none at all. */
export const someWords: Grammar<string> = grammar((text) => filled(text, 'Give a text.'));
export const node: Grammar<NodeId> = grammar((text) => nodeId(text));
export const wallet: Grammar<LedgerAddress> = grammar((text) => ledgerAddress(text));
/** An IP address. A name is none: looking it up would ask a DNS server. */
export const ip: Grammar<string> = grammar((text) => {
  if (isIP(text) !== 0) return text;
  throw new RangeError('Write an IP address of this machine: 127.0.0.1, or 0.0.0.0 for all.');
});
/** A port to listen on; 0: any free one. */
export const port: Grammar<number> = count(0, 65_535);
/** The name of a host as browsers send it, without a port, in lower case. */
export const hostName: Grammar<string> = grammar((text) => {
  const lower = text.toLowerCase();
  const [, inBrackets = ''] = /^\[(.+)\]$/.exec(lower) ?? [];
  if (isIP(inBrackets) === 6 || (lower.length <= MAX_HOST_NAME && HOST_NAME.test(lower))) return lower;
  throw new RangeError('Write the name of a host without a port: www.example.org, or [fd00::1].');
});
/** A domain that other machines find in DNS, in lower case. */
export const publicDomain: Grammar<string> = grammar((text) => {
  const lower = text.toLowerCase();
  const isOne = lower.length <= MAX_PUBLIC_DOMAIN && HOST_NAME.test(lower) && lower.includes('.') && isIP(lower) === 0;
  if (isOne && !lower.endsWith('.localhost')) return lower;
  throw new RangeError('Write a domain that is yours, without a scheme or a port: example.org.');
});
/** A site on the web, without a path. */
export const webOrigin: Grammar<URL> = grammar((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (url !== undefined && isWeb && url.href === `${url.origin}/`) return url;
  throw new RangeError('Write an address without a path: https://id.example.org, or http://localhost:8402.');
});
/** A server that keeps records. */
export const storeUrl: Grammar<URL> = grammar((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isRedis = url?.protocol === 'redis:' || url?.protocol === 'rediss:';
  const isPostgres = url?.protocol === 'postgres:' || url?.protocol === 'postgresql:';
  const rest = url === undefined ? '' : url.search + url.hash;
  const isWhole = isRedis
    ? rest === '' && /^(\/\d{0,4})?$/.test(url.pathname)
    : isPostgres && /^(\?sslmode=(disable|verify-full))?$/.test(rest) && /^(\/[^/]*)?$/.test(url.pathname);
  if (url !== undefined && url.hostname !== '' && isWhole) return url;
  throw new RangeError(
    'Write redis://HOST:PORT/NUMBER, rediss:// for TLS, or postgres://USER@HOST:PORT/DATABASE, which may end with ?sslmode=disable.',
  );
});
/** A name as it is written down: lower case, with its TLD. */
export const name: Grammar<string> = grammar((text) => parseName(text).name);
/** A name that can be registered. */
export const newName: Grammar<string> = grammar((text) => parseNewName(text).name);

export function shareUpTo(max: number): Grammar<BasisPoints> {
  return grammar((text) => {
    const value = parseShare(text);
    if (value <= max) return value;
    throw new RangeError(`It can be ${formatShare(max)} at most.`);
  });
}

/** The bounds are texts of the same grammar. */
export function durationBetween(least: string, most: string): Grammar<Millis> {
  return grammar((text) => {
    const millis = parseDuration(text);
    if (millis >= parseDuration(least) && millis <= parseDuration(most)) return millis;
    throw new RangeError(`It must be from ${least} to ${most}.`);
  });
}

function filled(text: string, remedy: string): string {
  if (text.trim() === '') throw new RangeError(remedy);
  return text;
}
