/** The grammars that settings share: what people write, and the branded value that it becomes. */
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

export const credits: Grammar<Amount> = grammar(parseCredits);
export const price: Grammar<PricePerMiB> = grammar((text) => pricePerMiB(parseCredits(text)));
export const sol: Grammar<Lamports> = grammar(parseSol);
/** Basis points. */
export const share: Grammar<number> = grammar(parseShare);
export const size: Grammar<Bytes> = grammar(parseSize);
/** Milliseconds. */
export const duration: Grammar<number> = grammar(parseDuration);
/** An absolute path. Blank text is refused, or an unset variable would mean the working folder. */
export const place: Grammar<string> = grammar((text) => path.resolve(filled(text, 'Name a folder or a file.')));
/** Any text but none at all. */
export const secret: Grammar<string> = grammar((text) => filled(text, 'Give a text.'));
export const node: Grammar<NodeId> = grammar((text) => nodeId(text));
export const wallet: Grammar<LedgerAddress> = grammar((text) => ledgerAddress(text));
/** A name as it is written down: lower case, with its TLD. */
export const name: Grammar<string> = grammar((text) => parseName(text).name);

function filled(text: string, remedy: string): string {
  if (text.trim() === '') throw new RangeError(remedy);
  return text;
}
