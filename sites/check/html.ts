/**
 * The addresses that a page names, found in its text as a browser's tokenizer would read it: comments, scripts and quoted values are told
 * apart. It builds no tree, so what depends on one (a table's misplaced rows) does not matter here. One pass, whatever the text.
 */
import { addressesOfCss } from './css.ts';

export interface Reference {
  /** As it is written, character references resolved. */
  readonly address: string;
  /** Where in the text. */
  readonly at: number;
  /** `load`: the page shows it; `go`: a visitor may go there. */
  readonly use: 'load' | 'go';
}

export interface PageReferences {
  readonly references: readonly Reference[];
  /** Of the first `<base href>`. */
  readonly base?: string;
}

interface Tag {
  readonly name: string;
  readonly at: number;
  /** By name in lower case; of several with one name the first. */
  readonly attributes: ReadonlyMap<string, { readonly value: string; readonly at: number }>;
}

/** Elements whose content is text until their end tag, whatever is in it. */
const TEXT_ELEMENTS: ReadonlySet<string> = new Set([
  'script',
  'style',
  'textarea',
  'title',
  'xmp',
  'noembed',
  'noframes',
]);
const GO_ELEMENTS: ReadonlySet<string> = new Set(['a', 'area', 'form']);
/** Relations of `<link>` that name a host or another version of the page, and fetch nothing. */
const NO_FETCH = /(?:^|\s)(?:preconnect|dns-prefetch|canonical|shortlink)(?:\s|$)/i;
const SPACE = /\s/;

/** Finds what a page loads and links to, in the order of its text. */
export function referencesOf(html: string): PageReferences {
  const references: Reference[] = [];
  let base: string | undefined;
  /** What is in a template is not there until a script makes something of it. */
  let templates = 0;
  for (const piece of piecesOf(html)) {
    if (piece.kind === 'end') {
      if (piece.name === 'template') templates = Math.max(0, templates - 1);
    } else if (piece.kind === 'text') {
      if (piece.of === 'style' && templates === 0) {
        for (const { address, at } of addressesOfCss(piece.text)) {
          references.push({ address, at: piece.at + at, use: 'load' });
        }
      }
    } else if (piece.tag.name === 'template') {
      templates += 1;
    } else if (piece.tag.name === 'base') {
      base ??= piece.tag.attributes.get('href')?.value;
    } else if (templates === 0) {
      references.push(...referencesOfTag(piece.tag));
    }
  }
  return { references, ...(base !== undefined && { base }) };
}

function referencesOfTag({ name, attributes }: Tag): Reference[] {
  const use = GO_ELEMENTS.has(name) ? 'go' : 'load';
  const found: Reference[] = [];
  for (const [attribute, { value, at }] of attributes) {
    const take = (address: string, how: Reference['use'] = use): void => void found.push({ address, at, use: how });
    if (attribute === 'srcset' || attribute === 'imagesrcset') for (const one of addressesOfSrcset(value)) take(one);
    else if (attribute === 'style') for (const { address } of addressesOfCss(value)) take(address, 'load');
    else if (isAddress(name, attribute, attributes)) take(value);
    else if (name === 'meta' && attribute === 'content' && isRefresh(attributes)) {
      const [, , to] = /^[\s\d.]*(?:[;,]\s*)?url\s*=\s*(["']?)(.*)\1/is.exec(value) ?? [];
      if (to !== undefined) take(to, 'go');
    }
  }
  return found;
}

function isAddress(tag: string, attribute: string, attributes: Tag['attributes']): boolean {
  switch (attribute) {
    case 'href':
    case 'xlink:href':
      return !(tag === 'link' && NO_FETCH.test(attributes.get('rel')?.value ?? ''));
    case 'src':
    case 'poster':
    case 'background':
      return true;
    case 'data':
      return tag === 'object';
    case 'action':
      return tag === 'form' && !/^(?:post|dialog)$/i.test(attributes.get('method')?.value ?? '');
    default:
      return false;
  }
}

function isRefresh(attributes: Tag['attributes']): boolean {
  return /^refresh$/i.test(attributes.get('http-equiv')?.value ?? '');
}

/** Candidates are separated by commas, but an address may hold some: it ends at white space, or at a comma before it. */
export function addressesOfSrcset(value: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < value.length;) {
    const start = past(value, at, /[\s,]/);
    const end = until(value, start, SPACE);
    let stop = end;
    while (stop > start && value[stop - 1] === ',') stop -= 1;
    if (stop > start) found.push(value.slice(start, stop));
    at = stop < end ? end : afterDescriptors(value, end);
  }
  return found;
}

/** Past the comma that ends a candidate's descriptors; a comma in brackets does not. */
function afterDescriptors(value: string, from: number): number {
  let depth = 0;
  for (let at = from; at < value.length; at += 1) {
    if (value[at] === '(') depth += 1;
    else if (value[at] === ')') depth -= 1;
    else if (value[at] === ',' && depth <= 0) return at + 1;
  }
  return value.length;
}

type Piece =
  | { readonly kind: 'start'; readonly tag: Tag }
  | { readonly kind: 'end'; readonly name: string }
  | { readonly kind: 'text'; readonly of: string; readonly text: string; readonly at: number };

function* piecesOf(html: string): Generator<Piece, undefined> {
  for (let at = html.indexOf('<'); at >= 0; at = html.indexOf('<', at)) {
    if (html.startsWith('<!--', at)) {
      at = afterComment(html, at + 4);
    } else if (/[!?]/.test(html[at + 1] ?? '')) {
      at = after(html, '>', at);
    } else if (html[at + 1] === '/') {
      const end = after(html, '>', at);
      yield { kind: 'end', name: html.slice(at + 2, until(html, at + 2, /[\s/>]/)).toLowerCase() };
      at = end;
    } else if (/[a-z]/i.test(html[at + 1] ?? '')) {
      const { tag, end } = readTag(html, at);
      yield { kind: 'start', tag };
      at = end;
      if (!TEXT_ELEMENTS.has(tag.name)) continue;
      const closing = new RegExp(`</${tag.name}(?=[\\s/>])`, 'gi');
      closing.lastIndex = end;
      const stop = closing.exec(html)?.index ?? html.length;
      yield { kind: 'text', of: tag.name, text: html.slice(end, stop), at: end };
      at = stop;
    } else {
      at += 1;
    }
  }
  return undefined;
}

/** `from`: after the "<!--". "<!-->" is whole already. */
function afterComment(html: string, from: number): number {
  const [short] = /^-?>/.exec(html.slice(from, from + 2)) ?? [];
  if (short !== undefined) return from + short.length;
  const end = /--!?>/g;
  end.lastIndex = from;
  return end.exec(html) === null ? html.length : end.lastIndex;
}

function readTag(html: string, start: number): { readonly tag: Tag; readonly end: number } {
  const attributes = new Map<string, { readonly value: string; readonly at: number }>();
  let at = until(html, start + 1, /[\s/>]/);
  const name = html.slice(start + 1, at).toLowerCase();
  for (;;) {
    at = past(html, at, /[\s/]/);
    if (at >= html.length || html[at] === '>') break;
    const nameAt = at;
    // An "=" may begin a name, and ends it elsewhere.
    at = until(html, at + 1, /[\s/>=]/);
    const attribute = html.slice(nameAt, at).toLowerCase();
    const equals = past(html, at, SPACE);
    let value = '';
    if (html[equals] === '=') ({ value, end: at } = readValue(html, past(html, equals + 1, SPACE)));
    if (!attributes.has(attribute)) attributes.set(attribute, { value: decoded(value), at: nameAt });
  }
  return { tag: { name, at: start, attributes }, end: Math.min(at + 1, html.length) };
}

function readValue(html: string, from: number): { readonly value: string; readonly end: number } {
  const quote = html[from];
  if (quote === '"' || quote === "'") {
    const close = html.indexOf(quote, from + 1);
    const end = close < 0 ? html.length : close;
    return { value: html.slice(from + 1, end), end: Math.min(end + 1, html.length) };
  }
  const end = until(html, from, /[\s>]/);
  return { value: html.slice(from, end), end };
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };
const LAST_CODE_POINT = 0x10_ff_ff;

/** The character references that addresses have; others stay as they are. */
function decoded(text: string): string {
  return text.replaceAll(/&(?:#x([\da-f]{1,6})|#(\d{1,7})|([a-z]{2,4}));/gi, (whole, hex, decimal, word) => {
    if (word !== undefined) return NAMED[String(word)] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(String(hex), 16);
    return code <= LAST_CODE_POINT ? String.fromCodePoint(code) : whole;
  });
}

function until(text: string, from: number, stop: RegExp): number {
  let at = from;
  while (at < text.length && !stop.test(text[at] ?? '')) at += 1;
  return at;
}

function past(text: string, from: number, skipped: RegExp): number {
  let at = from;
  while (at < text.length && skipped.test(text[at] ?? '')) at += 1;
  return at;
}

function after(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  return at < 0 ? text.length : at + 1;
}
