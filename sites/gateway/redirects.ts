/**
 * The `_redirects` of a site: where an address leads that has nothing of its own (IPFS web redirects file specification). A rule is a
 * line: from, to, status. `:name` stands for one segment, and `*` at the end for the rest.
 */
import { RelaymintError } from '../../core/errors.ts';

/** Larger files are refused. */
export const MAX_REDIRECTS_BYTES = 65_536;
/** Longer addresses are followed by no browser. */
const MAX_ADDRESS = 16_384;
const PLACEHOLDER = /:([A-Za-z_]\w*)/;
const STATUSES: ReadonlySet<number> = new Set([200, 301, 302, 303, 307, 308, 404, 410, 451]);

export type RedirectRules = readonly Rule[];

interface Rule {
  readonly from: readonly string[];
  readonly to: string;
  readonly status: number;
}

export interface Redirect {
  /** A path of the site or an address elsewhere, with all that stands for something filled in. */
  readonly to: string;
  /** 3xx: the visitor goes there. Else what is there is shown, with this status. */
  readonly status: number;
}

/** @throws RelaymintError REDIRECTS_INVALID, with the line. */
export function parseRedirects(text: string): RedirectRules {
  return text.split(/\r\n|\r|\n/).flatMap((line, index) => {
    const words = line.split(/\s+/).filter((word) => word !== '');
    const comment = words.findIndex((word) => word.startsWith('#'));
    const said = comment < 0 ? words : words.slice(0, comment);
    return said.length === 0 ? [] : [parseRule(said, index + 1)];
  });
}

export function redirectsTooLarge(): RelaymintError {
  return invalid(`redirects file size cannot exceed ${MAX_REDIRECTS_BYTES} bytes`);
}

/** `path`: as it was sent. The first rule that fits counts. */
export function redirectFor(rules: RedirectRules, path: string): Redirect | undefined {
  const segments = segmentsOf(path);
  for (const { from, to, status } of rules) {
    const filled = match(from, segments);
    if (filled === undefined) continue;
    // What is filled in must not make another host of a path: browsers take a backslash for a slash.
    const target = fill(to, filled)?.replace(/^[/\\]{2,}/, '/');
    return target === undefined ? undefined : { to: target, status };
  }
  return undefined;
}

function parseRule(words: readonly string[], line: number): Rule {
  const [from = '', to, code = '301', ...more] = words;
  const said = `line ${line}: `;
  if (to === undefined) throw invalid(`${said}a rule is two addresses and a status`);
  if (more.length > 0) throw invalid(`${said}there is more than two addresses and a status`);
  if (!from.startsWith('/')) throw invalid(`${said}"${from}" is not a path`);
  if (to.startsWith('//')) throw invalid(`${said}"${to}" would lead to another host`);
  const [, host] = /^https?:\/\/([^/\\?#]+)(?:\/|$)/i.exec(to) ?? [];
  if (!to.startsWith('/') && host === undefined) throw invalid(`${said}"${to}" is neither a path nor an address`);
  if (host !== undefined && /:(?!\d+$)/.test(host))
    throw invalid(`${said}the host of "${to}" has to stand there in full`);
  const status = Number(code);
  if (!STATUSES.has(status)) throw invalid(`${said}the status "${code}" is none of ${[...STATUSES].join(', ')}`);
  if (status >= 400 || status === 200) {
    if (!to.startsWith('/')) throw invalid(`${said}what is shown with status ${status} is a path of the site`);
  }
  const segments = segmentsOf(from);
  if (segments.slice(0, -1).includes('*')) throw invalid(`${said}"*" stands at the end only`);
  return { from: segments, to, status };
}

function segmentsOf(path: string): readonly string[] {
  return path.split('/').slice(1);
}

/** What stands for what; undefined when the pattern does not fit. */
function match(pattern: readonly string[], path: readonly string[]): ReadonlyMap<string, string> | undefined {
  const filled = new Map<string, string>();
  const open = pattern.at(-1) === '*';
  if (open ? path.length < pattern.length - 1 : path.length !== pattern.length) return undefined;
  for (const [index, segment] of pattern.entries()) {
    if (open && index === pattern.length - 1) {
      filled.set('splat', path.slice(index).join('/'));
      break;
    }
    const given = path[index] ?? '';
    if (segment.startsWith(':') && segment.length > 1) {
      if (given === '') return undefined;
      filled.set(segment.slice(1), given);
    } else if (segment !== given) {
      return undefined;
    }
  }
  return filled;
}

/** undefined when it becomes longer than an address may be: a part can stand in it many times. */
function fill(to: string, filled: ReadonlyMap<string, string>): string | undefined {
  let length = to.length;
  const parts = to.split(PLACEHOLDER).map((part, index) => {
    // Every second one is a name.
    const said = index % 2 === 0 ? part : (filled.get(part) ?? `:${part}`);
    length += said.length;
    return said;
  });
  return length > MAX_ADDRESS ? undefined : parts.join('');
}

function invalid(why: string): RelaymintError {
  return new RelaymintError('REDIRECTS_INVALID', `could not parse _redirects: ${why}`, {
    remedy: 'Its owner has to correct the file and publish again.',
  });
}
