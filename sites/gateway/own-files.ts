/** The files by which a site says how it is served: they count where it has an origin of its own. */
import { LRUCache } from 'lru-cache';
import type { RelaymintError } from '../../core/errors.ts';
import { MAX_RULES_CACHE_BYTES } from '../../core/limits.ts';
import { follow, openNode, readFile, type FileNode } from '../unixfs/index.ts';
import { pathBelow, type Place } from './place.ts';
import { MAX_REDIRECTS_BYTES, parseRedirects, redirectFor, redirectsTooLarge } from './redirects.ts';
import type { Redirect, RedirectRules } from './redirects.ts';
import { MAX_HEADERS_BYTES, headersFor, headersTooLarge, parseHeaders } from './site-headers.ts';
import type { Rule, SiteHeaders } from './site-headers.ts';

/** Of a file of rules. */
const MAX_PIECES = 64;

interface Options {
  readonly signal: AbortSignal;
}

/** A file of rules, read once: by its CID, because what that names never changes, and by its place and the page that shows it, whose visits are nobody else's business. */
class RuleFile<Rules extends object> {
  readonly #name: string;
  readonly #max: number;
  readonly #tooLarge: () => RelaymintError;
  readonly #parse: (text: string) => Rules;
  readonly #known = new LRUCache<string, Rules>({ maxSize: MAX_RULES_CACHE_BYTES });

  constructor(name: string, max: number, tooLarge: () => RelaymintError, parse: (text: string) => Rules) {
    this.#name = name;
    this.#max = max;
    this.#tooLarge = tooLarge;
    this.#parse = parse;
  }

  /** undefined where there is no such file. @throws what `tooLarge` makes and `parse` throws, and the reader's errors. */
  async of(place: Place, options: Options): Promise<Rules | undefined> {
    const own = await follow(place.blocks, place.root, [this.#name], options);
    if (own === undefined) return undefined;
    const key = `${place.canonical}\n${place.page ?? ''}\n${own.cid.toString()}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const file = await openNode(place.blocks, own.cid, options);
    if (file.type !== 'file') return undefined;
    if (file.size > this.#max) throw this.#tooLarge();
    const rules = this.#parse(await this.#textOf(place, file, options));
    this.#known.set(key, rules, { size: file.size + key.length });
    return rules;
  }

  async #textOf({ blocks }: Place, file: FileNode, options: Options): Promise<string> {
    const pieces: Uint8Array[] = [];
    for await (const piece of readFile(blocks, file, undefined, options)) {
      // Tools make one or two pieces of so small a file. A piece for each letter costs seconds.
      if (pieces.length >= MAX_PIECES) throw this.#tooLarge();
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString();
  }
}

const headerRules = new RuleFile<readonly Rule[]>('_headers', MAX_HEADERS_BYTES, headersTooLarge, parseHeaders);
const redirectRules = new RuleFile<RedirectRules>('_redirects', MAX_REDIRECTS_BYTES, redirectsTooLarge, parseRedirects);

/** What `_headers` adds to the answer for a path, as it was sent. @throws RelaymintError HEADERS_INVALID, and the reader's errors. */
export async function siteHeaders(place: Place, path: string, options: Options): Promise<SiteHeaders> {
  const rules = await headerRules.of(place, options);
  return rules === undefined ? new Map() : headersFor(rules, pathBelow(place, path));
}

/** Where `_redirects` leads from a path, as it was sent. @throws RelaymintError REDIRECTS_INVALID, and the reader's errors. */
export async function siteRedirect(place: Place, path: string, options: Options): Promise<Redirect | undefined> {
  const rules = await redirectRules.of(place, options);
  return rules && redirectFor(rules, pathBelow(place, path));
}
