/** The addresses that a style sheet names: `url()` and `@import`. Comments and other strings are passed over. */

export interface CssAddress {
  readonly address: string;
  /** Where in the text. */
  readonly at: number;
}

/** Each alternative reads a place in one way only, and a string that nothing closes is taken whole: so the time grows with the length. */
const TOKEN =
  /\/\*[^]*?(?:\*\/|$)|(@import\s+)?("(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*')|(?<![\w-])url\(\s*(?!\s)(?:("(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*')|((?:[^\s)"'(\\]|\\[^])*))\s*\)|"(?:[^"\\\n]|\\(?:[^]|$))*|'(?:[^'\\\n]|\\(?:[^]|$))*/gi;
/** One character that is written by its number, with the space that ends it, or as it is. */
const ESCAPE = /\\(?:([\da-f]{1,6})\s?|\n|([^]))/gi;

export function addressesOfCss(css: string): CssAddress[] {
  const found: CssAddress[] = [];
  for (const match of css.matchAll(TOKEN)) {
    const [, imports, text, quoted, plain] = match;
    const said = quoted ?? plain ?? (imports === undefined ? undefined : text);
    if (said === undefined) continue;
    found.push({ address: unescaped(/^["']/.test(said) ? said.slice(1, -1) : said), at: match.index });
  }
  return found;
}

function unescaped(text: string): string {
  return text.replaceAll(ESCAPE, (_whole, hex: string | undefined, character: string | undefined) => {
    if (hex === undefined) return character ?? '';
    const code = Number.parseInt(hex, 16);
    return code > 0 && code <= 0x10_ff_ff ? String.fromCodePoint(code) : '\ufffd';
  });
}
