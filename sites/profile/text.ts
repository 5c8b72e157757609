/**
 * What people may write into a profile. Others read it beside what they trust: it turns no text around, hides nothing, and is not taken for
 * the name of somebody else.
 */
import { TLDS } from '../../core/name.ts';

/** Scripts in which an invisible joiner changes what is seen. Elsewhere it makes two texts look like one. */
const JOINED_SCRIPTS = [
  'Arab',
  'Syrc',
  'Nkoo',
  'Mong',
  'Deva',
  'Beng',
  'Guru',
  'Gujr',
  'Orya',
  'Taml',
  'Telu',
  'Knda',
  'Mlym',
  'Sinh',
  'Khmr',
  'Mymr',
  'Tibt',
];
const OF_JOINED = `[${JOINED_SCRIPTS.map((script) => `\\p{sc=${script}}`).join('')}]`;
const JOINER = new RegExp(`(?<=${OF_JOINED})[\\u200C\\u200D](?=${OF_JOINED})`, 'gu');
const PICTOGRAPH = String.raw`\p{Extended_Pictographic}[\p{Emoji_Modifier}\uFE0F]?`;
const EMOJI = new RegExp(String.raw`${PICTOGRAPH}(?:\u200D${PICTOGRAPH})*|[0-9#*]\uFE0F\u20E3`, 'gu');
/** Nothing that engines of another age may see otherwise: what is not assigned yet is let through. */
const UNSEEN =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}\u2800\uFFFD]/u;
/** Of spaces, the usual one and the one of ideographs. */
const ODD_SPACE = /(?![ \u3000])\p{Zs}/u;
/** Marks upon marks cover the lines around. */
const HEAPED = /\p{M}{5}/u;

/** Letters that are drawn as Latin ones. */
const DRAWN_ALIKE: Readonly<Record<string, string>> = {
  а: 'a',
  е: 'e',
  о: 'o',
  р: 'p',
  с: 'c',
  у: 'y',
  х: 'x',
  ѕ: 's',
  і: 'i',
  ј: 'j',
  ԁ: 'd',
  ԛ: 'q',
  ԝ: 'w',
  һ: 'h',
  ӏ: 'l',
  к: 'k',
  м: 'm',
  т: 't',
  в: 'b',
  н: 'h',
  α: 'a',
  ο: 'o',
  ν: 'v',
  ρ: 'p',
  τ: 't',
  ι: 'i',
  κ: 'k',
  υ: 'u',
};
const NAME_WITHIN = new RegExp(String.raw`([a-z0-9-]+)\s*[.\u3002]\s*(${TLDS.join('|')})(?![a-z0-9-])`, 'u');

/** The end of a sentence about the text; undefined: nothing is wrong with it. */
export function wrongWithText(
  text: string,
  { max, lines }: { readonly max: number; readonly lines: boolean },
): string | undefined {
  if (text.length === 0 || text.length > max) return `has not 1 to ${max} characters`;
  // Some devices write letters with marks in another way, which is the same to readers.
  if (text.normalize('NFC') !== text) return 'is not in the usual form of Unicode (NFC)';
  const bare = (lines ? text.replaceAll('\n', ' ') : text).replaceAll(EMOJI, '*').replaceAll(JOINER, '');
  if (UNSEEN.test(bare)) return 'has a character that is not seen, or turns text around';
  if (ODD_SPACE.test(bare)) return 'has an unusual space';
  if (HEAPED.test(bare)) return 'heaps up marks';
  if (text.trim() !== text || (!lines && /\s\s/u.test(text))) return 'begins or ends with a space, or has two together';
  if (lines && /\n{3}/.test(text)) return 'has several empty lines together';
  return undefined;
}

/** The same of what somebody is called under a name. */
export function wrongWithDisplayName(text: string, name: string): string | undefined {
  if (!/[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(text)) return 'has no letter';
  const mixed = text.split(/[^\p{L}\p{M}]+/u).find(isOfSeveralScripts);
  if (mixed !== undefined) return 'mixes letters of several alphabets in one word, which look alike';
  const seen = Array.from(text.normalize('NFKC').toLowerCase(), (letter) => DRAWN_ALIKE[letter] ?? letter).join('');
  const [, label, tld] = NAME_WITHIN.exec(seen) ?? [];
  if (label !== undefined && `${label}.${tld}` !== name) return 'reads as a name that it is not';
  return undefined;
}

function isOfSeveralScripts(word: string): boolean {
  return [/\p{sc=Latn}/u, /\p{sc=Cyrl}/u, /\p{sc=Grek}/u].filter((script) => script.test(word)).length > 1;
}
