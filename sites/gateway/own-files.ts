/** The files by which a site says how it is served: they count where it has an origin of its own. */
import { LRUCache } from 'lru-cache';
import type { RelaymintError } from '../../core/errors.ts';
import { MAX_RULES_CACHE_BYTES } from '../../core/limits.ts';
import { follow, openNode, readFile, type FileNode } from '../unixfs/index.ts';
import { pathBelow, type Place } from './place.ts';
import { MAX_REDIRECTS_BYTES, parseRedirects, redirectFor, redirectsTooLarge, type Redirect } from './redirects.ts';
import { MAX_HEADERS_BYTES, headersFor, headersTooLarge, parseHeaders } from './site-headers.ts';
import type { Rule, SiteHeaders } from './site-headers.ts';

interface Options {
  readonly signal: AbortSignal;
}

/** By the file's CID: what it says never changes, whoever has it. */
const headerRules = new LRUCache<string, readonly Rule[]>({ maxSize: MAX_RULES_CACHE_BYTES });

/** What `_headers` adds to the answer for a path, as it was sent. @throws RelaymintError HEADERS_INVALID, and the reader's errors. */
export async function siteHeaders(place: Place, path: string, options: Options): Promise<SiteHeaders> {
  const own = await follow(place.blocks, place.root, ['_headers'], options);
  if (own === undefined) return new Map();
  const key = own.cid.toString();
  const known = headerRules.get(key);
  if (known !== undefined) return headersFor(known, pathBelow(place, path));
  const file = await openNode(place.blocks, own.cid, options);
  if (file.type !== 'file') return new Map();
  const rules = parseHeaders(await textOf(place, file, MAX_HEADERS_BYTES, headersTooLarge, options));
  headerRules.set(key, rules, { size: file.size + 1 });
  return headersFor(rules, pathBelow(place, path));
}

/** Where `_redirects` leads from a path, as it was sent. @throws RelaymintError REDIRECTS_INVALID, and the reader's errors. */
export async function siteRedirect(place: Place, path: string, options: Options): Promise<Redirect | undefined> {
  const own = await follow(place.blocks, place.root, ['_redirects'], options);
  const file = own && (await openNode(place.blocks, own.cid, options));
  if (file?.type !== 'file') return undefined;
  const text = await textOf(place, file, MAX_REDIRECTS_BYTES, redirectsTooLarge, options);
  return redirectFor(parseRedirects(text), pathBelow(place, path));
}

async function textOf(
  { blocks }: Place,
  file: FileNode,
  max: number,
  tooLarge: () => RelaymintError,
  options: Options,
): Promise<string> {
  if (file.size > max) throw tooLarge();
  const pieces: Uint8Array[] = [];
  for await (const piece of readFile(blocks, file, undefined, options)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
