/**
 * The `_headers` of a site: what the heads of its answers say besides. A path begins a rule, and the lines below it are its headers,
 * `Name: value`; `! Name` takes away what earlier rules set. In a path `:name` stands for one segment, and one `*` for anything. All rules
 * that fit count, in their order.
 */
import { RelaymintError } from '../../core/errors.ts';

/** Larger files are refused. */
export const MAX_HEADERS_BYTES = 65_536;
/** Of one file: each answer is compared with all. */
const MAX_RULES = 1_000;
/** Of a file; also of a head, together: browsers and proxies take little more. */
const MAX_LINE = 2_000;
const MAX_HEAD = 8_192;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Nothing that would end a line or a head. */
const VALUE = /^[\x20-\x7e\t]+$/;
const TYPE = /^[\w.+-]+\/[\w.+-]+\s*(?:;\s*[\w-]+=(?:[\w.+-]+|"[^"\\]*")\s*)*$/;

/** How an answer is framed, sent and compared, which the gateway does; how the gateway is reached; and what reaches other sites. */
const NEVER: ReadonlySet<string> = new Set([
  'accept-ranges',
  'age',
  'allow',
  'alt-svc',
  'authentication-info',
  // Of all contents at *.ipfs.localhost, if it clears cookies.
  'clear-site-data',
  'connection',
  'content-digest',
  'content-encoding',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'date',
  'digest',
  'etag',
  'keep-alive',
  'last-modified',
  'location',
  'nel',
  'origin-agent-cluster',
  'repr-digest',
  'server',
  'set-cookie',
  'set-cookie2',
  'status',
  'strict-transport-security',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
  'via',
  'www-authenticate',
]);
/** Of which pages of other origins may do what, and what caches and proxies before the gateway are told. */
const NEVER_BEGINS = /^(?:access-control-|cdn-|cloudflare-|proxy-|sec-|surrogate-)/;
/** A proxy before the gateway may obey names that begin so (X-Accel-Redirect, X-Sendfile), so that only harmless ones pass. */
const OWN_NAMES = /^x-/;
const KNOWN_OWN: ReadonlySet<string> = new Set([
  'x-clacks-overhead',
  'x-dns-prefetch-control',
  'x-download-options',
  'x-frame-options',
  'x-permitted-cross-domain-policies',
  'x-robots-tag',
  'x-ua-compatible',
  'x-xss-protection',
]);
/** Has one value: the last rule's. Others are lists, to which each rule adds. */
const SINGLE: ReadonlySet<string> = new Set([
  'cache-control',
  'content-disposition',
  'content-type',
  'cross-origin-embedder-policy',
  'cross-origin-embedder-policy-report-only',
  'cross-origin-opener-policy',
  'cross-origin-opener-policy-report-only',
  'cross-origin-resource-policy',
  'document-isolation-policy',
  'expires',
  'pragma',
  'referrer-policy',
  'refresh',
  'service-worker-allowed',
  'sourcemap',
  'x-frame-options',
]);

interface Line {
  /** In lower case. */
  readonly name: string;
  /** undefined: what was set is taken away. */
  readonly value: string | undefined;
}

export interface Rule {
  readonly fits: (path: readonly string[]) => boolean;
  readonly lines: Line[];
}

/** Names in lower case. */
export type SiteHeaders = ReadonlyMap<string, string>;

/** @throws RelaymintError HEADERS_INVALID, with the line. */
export function parseHeaders(text: string): readonly Rule[] {
  const rules: Rule[] = [];
  for (const [index, whole] of text.split(/\r\n|\r|\n/).entries()) {
    const said = whole.trim();
    if (said === '' || said.startsWith('#')) continue;
    const where = `line ${index + 1}: `;
    if (whole.length > MAX_LINE) throw invalid(`${where}longer than ${MAX_LINE} characters`);
    if (/^(?:\/|https?:\/\/)/i.test(said)) {
      if (rules.length === MAX_RULES) throw invalid(`${where}more than ${MAX_RULES} paths`);
      rules.push({ fits: patternOf(said, where), lines: [] });
      continue;
    }
    const rule = rules.at(-1);
    if (rule === undefined) throw invalid(`${where}"${said}" stands below no path`);
    const line = lineOf(said, where);
    if (maySet(line.name)) rule.lines.push(line);
  }
  return rules;
}

export function headersTooLarge(): RelaymintError {
  return invalid(`the file is larger than ${MAX_HEADERS_BYTES} bytes`);
}

/** What the rules say together. `path`: as it was sent. @throws RelaymintError HEADERS_INVALID when it is too much. */
export function headersFor(rules: readonly Rule[], path: string): SiteHeaders {
  const segments = path.split('/').slice(1).map(decoded);
  const found = new Map<string, Set<string>>();
  for (const { fits, lines } of rules) {
    if (!fits(segments)) continue;
    for (const { name, value } of lines) {
      const values = found.get(name);
      if (value === undefined) found.delete(name);
      else if (values === undefined || SINGLE.has(name)) found.set(name, new Set([value]));
      else values.add(value);
    }
  }
  const headers = new Map(Array.from(found, ([name, values]) => [name, Array.from(values).join(', ')]));
  let length = 0;
  for (const [name, value] of headers) length += name.length + value.length;
  if (length > MAX_HEAD) throw invalid(`the headers of ${path.slice(0, 100)} are longer than ${MAX_HEAD} characters`);
  return headers;
}

function lineOf(said: string, where: string): Line {
  const removed = said.startsWith('!') && !said.includes(':') ? said.slice(1).trim() : undefined;
  const colon = said.indexOf(':');
  const name = removed ?? said.slice(0, Math.max(colon, 0)).trim();
  if (!NAME.test(name)) throw invalid(`${where}"${said.slice(0, 100)}" is not "Name: value"`);
  if (removed !== undefined) return { name: name.toLowerCase(), value: undefined };
  const value = said.slice(colon + 1).trim();
  if (!VALUE.test(value)) throw invalid(`${where}the value of ${name} is empty or not plain ASCII`);
  if (name.toLowerCase() === 'content-type' && !TYPE.test(value)) throw invalid(`${where}"${value}" is no media type`);
  return { name: name.toLowerCase(), value };
}

function maySet(name: string): boolean {
  return !NEVER.has(name) && !NEVER_BEGINS.test(name) && (!OWN_NAMES.test(name) || KNOWN_OWN.has(name));
}

/** Looks at each letter of a path once or twice, whatever the pattern. */
function patternOf(pattern: string, where: string): Rule['fits'] {
  // Of another host than a name's or a CID's.
  if (!pattern.startsWith('/')) return () => false;
  const segments = pattern.split('/').slice(1);
  const open = segments.findIndex((segment) => segment.includes('*'));
  const [head, tail] = open < 0 ? [segments, []] : [segments.slice(0, open), segments.slice(open + 1)];
  const [first, last] = [head.map(segmentFit), tail.map(segmentFit)];
  if (open < 0) return (path) => path.length === first.length && allFit(first, path);
  const [before = '', after = '', ...more] = (segments[open] ?? '').split('*').map(decoded);
  if (more.length > 0 || tail.some((segment) => segment.includes('*'))) {
    throw invalid(`${where}there is more than one "*"`);
  }
  const isAll = segments[open] === '*' && tail.length === 0;
  return (path) => {
    const end = path.length - last.length;
    if (end <= open) return isAll && path.length === open && allFit(first, path);
    const [from = '', to = ''] = [path[open], path[end - 1]];
    const isRoomy = end - 1 > open || from.length >= before.length + after.length;
    return isRoomy && from.startsWith(before) && to.endsWith(after) && allFit(first, path) && allFit(last, path, end);
  };
}

type SegmentFit = (given: string) => boolean;

function segmentFit(segment: string): SegmentFit {
  if (/^:[A-Za-z_]/.test(segment)) return (given) => given !== '';
  const wanted = decoded(segment);
  return (given) => given === wanted;
}

function allFit(fits: readonly SegmentFit[], path: readonly string[], from = 0): boolean {
  return fits.every((fit, index) => fit(path[from + index] ?? ''));
}

/** The same file has many addresses: what an escape stands for counts. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    if (error instanceof URIError) return segment;
    throw error;
  }
}

function invalid(why: string): RelaymintError {
  return new RelaymintError('HEADERS_INVALID', `could not parse _headers: ${why}.`, {
    remedy: 'Its owner has to correct the file and publish again.',
  });
}
