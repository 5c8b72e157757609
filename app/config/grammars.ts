/** The grammars that settings share: what people write, and the branded value that it becomes. */
import { isIP } from 'node:net';
import path from 'node:path';
import { parseDuration, parseShare, parseSize } from '../../core/grammar.ts';
import { ledgerAddress, nodeId, type LedgerAddress, type NodeId } from '../../core/ids.ts';
import { parseName } from '../../core/name.ts';
import {
  parseCredits,
  parseSol,
  pricePerMiB,
  type Amount,
  type Bytes,
  type Lamports,
  type PricePerMiB,
} from '../../core/units.ts';
import { grammar, type Grammar } from './setting.ts';

/** Of DNS. */
const MAX_HOST_NAME = 253;
const HOST_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

export const credits: Grammar<Amount> = grammar(parseCredits);
export const price: Grammar<PricePerMiB> = grammar((text) => pricePerMiB(parseCredits(text)));
export const sol: Grammar<Lamports> = grammar(parseSol);
/** Basis points. */
export const share: Grammar<number> = grammar(parseShare);
export const size: Grammar<Bytes> = grammar(parseSize);
/** Milliseconds. */
export const duration: Grammar<number> = grammar(parseDuration);
/** An absolute path. Blank text is refused, or an unset variable would mean the working folder. */
export const place: Grammar<string> = grammar(parsePlace);
/** Any text but none at all. */
export const secret: Grammar<string> = grammar((text) => filled(text, 'Give a text.'));
export const node: Grammar<NodeId> = grammar((text) => nodeId(text));
export const wallet: Grammar<LedgerAddress> = grammar((text) => ledgerAddress(text));
/** An IP address. A name is none: looking it up would ask a DNS server. */
export const ip: Grammar<string> = grammar(parseIp);
/** The name of a host as browsers send it, without a port, in lower case. */
export const hostName: Grammar<string> = grammar((text) => {
  const lower = text.toLowerCase();
  const [, inBrackets = ''] = /^\[(.+)\]$/.exec(lower) ?? [];
  if (isIP(inBrackets) === 6 || (lower.length <= MAX_HOST_NAME && HOST_NAME.test(lower))) return lower;
  throw new RangeError('Write the name of a host without a port: www.example.org, or [fd00::1].');
});
/** A name as it is written down: lower case, with its TLD. */
export const name: Grammar<string> = grammar((text) => parseName(text).name);

/** @throws RangeError */
export function parseIp(text: string): string {
  if (isIP(text) === 0) throw new RangeError('Write an IP address of this machine: 127.0.0.1, or 0.0.0.0 for all.');
  return text;
}

/** @throws RangeError */
export function parsePlace(text: string): string {
  return path.resolve(filled(text, 'Name a folder or a file.'));
}

function filled(text: string, remedy: string): string {
  if (text.trim() === '') throw new RangeError(remedy);
  return text;
}
