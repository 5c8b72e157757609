/** The rules of names, the same as the on-chain program's, and how a name becomes a browser address. */
import { RelaymintError } from './errors.ts';
import { MAX_NAME_BYTES } from './limits.ts';

/** Endings that the program registers. `.video` and `.map` exist in public DNS too: never claim them there as a whole. */
export type Tld = 'web3' | 'sso' | 'image' | 'video' | 'map' | 'route';
export const TLDS: readonly Tld[] = ['web3', 'sso', 'image', 'video', 'map', 'route'];
/** Those of them that public DNS does not have: they can be ours as a whole on one machine, and nobody else's name is taken. */
export const OWN_TLDS: readonly Tld[] = ['web3', 'sso', 'image', 'route'];

/** A name in its parts. */
export interface ParsedName {
  /** `news.web3` */
  readonly name: string;
  /** `news` */
  readonly label: string;
  /** `web3` */
  readonly tld: Tld;
}

/** Longest label of a host name (RFC 1035). */
const MAX_HOST_LABEL = 63;

/** Splits and checks a name; upper-case letters are lowered. @throws RelaymintError NAME_INVALID saying which rule it breaks. */
export function parseName(text: string): ParsedName {
  const name = text.length > MAX_NAME_BYTES * 2 ? text : text.toLowerCase();
  const dot = name.indexOf('.');
  const label = name.slice(0, Math.max(dot, 0));
  const tld = name.slice(dot + 1);
  if (dot < 0 || !isTld(tld)) throw invalid(text, `it must end in one of .${TLDS.join(', .')}`);
  if (label === '') throw invalid(text, 'there is nothing before the dot');
  if (!/^[a-z0-9-]+$/.test(label)) throw invalid(text, 'only the letters a-z, digits and "-" are allowed');
  if (label.startsWith('-') || label.endsWith('-')) throw invalid(text, 'it may not begin or end with "-"');
  if (label.slice(2, 4) === '--') throw invalid(text, 'its third and fourth characters may not both be "-"');
  if (name.length > MAX_NAME_BYTES) throw invalid(text, `it is longer than ${MAX_NAME_BYTES} characters`);
  if (inline(name).length > MAX_HOST_LABEL) throw invalid(text, 'it has too many "-" for its length');
  return { name, label, tld };
}

/** True when `parseName` would accept the text. */
export function isName(text: string): boolean {
  try {
    parseName(text);
    return true;
  } catch (error) {
    if (error instanceof RelaymintError) return false;
    throw error;
  }
}

/** `my-site.web3` -> `my--site-web3`: one host label, so that no two sites share cookies. @throws RelaymintError NAME_INVALID. */
export function inlineName(name: string): string {
  return inline(parseName(name).name);
}

/** `my--site-web3` -> `my-site.web3`. @throws RelaymintError NAME_INVALID. */
export function uninlineName(hostLabel: string): string {
  const lowered = hostLabel.length > MAX_HOST_LABEL ? hostLabel : hostLabel.toLowerCase();
  const { name } = parseName(lowered.replace(/--|-/g, (match) => (match === '--' ? '-' : '.')));
  if (inline(name) !== lowered) throw invalid(hostLabel, 'it is not the inlined form of a name');
  return name;
}

/** Where a gateway on this machine shows a site: `http://demo-web3.localhost:8402/`. @throws RelaymintError NAME_INVALID. */
export function siteUrl(name: string, port: number): string {
  return `http://${inlineName(name)}.localhost:${port}/`;
}

/**
 * The name that a browser in full mode means by a host name: the name itself, as long as its ending is nobody else's. undefined for any
 * other host. In lower case.
 */
export function nameOfFullHost(host: string): string | undefined {
  try {
    const { name, tld } = parseName(host);
    return OWN_TLDS.includes(tld) ? name : undefined;
  } catch (error) {
    if (error instanceof RelaymintError) return undefined;
    throw error;
  }
}

/**
 * The name that a host name below a gateway's domain stands for; undefined when it is not a site's address.
 * @param domain in lower case. Default: that of a gateway on this machine.
 */
export function nameOfHost(host: string, domain: string = 'localhost'): string | undefined {
  if (!host.toLowerCase().endsWith(`.${domain}`)) return undefined;
  const label = host.slice(0, -domain.length - 1);
  if (!/^[a-z0-9-]{3,63}$/i.test(label)) return undefined;
  try {
    return uninlineName(label);
  } catch (error) {
    if (error instanceof RelaymintError) return undefined;
    throw error;
  }
}

/**
 * Like `parseName`, for a name that is going to be registered: refuses what the chain accepts and no browser opens.
 * @throws RelaymintError NAME_INVALID.
 */
export function parseNewName(text: string): ParsedName {
  const parsed = parseName(text);
  if (opensInBrowsers(parsed.name)) return parsed;
  throw new RelaymintError('NAME_INVALID', `No browser would open ${parsed.name}: its address begins with "xn--".`, {
    remedy: 'Choose a name that does not begin with "xn-".',
  });
}

/**
 * False for the few names that the chain accepts and no browser opens: inlined they begin with `xn--`, which every URL
 * parser takes for an internationalized host name and refuses. Check it before registering.
 */
export function opensInBrowsers(name: string): boolean {
  return !inlineName(name).startsWith('xn--');
}

function inline(name: string): string {
  return name.replaceAll('-', '--').replace('.', '-');
}

function isTld(text: string): text is Tld {
  return (TLDS as readonly string[]).includes(text);
}

function invalid(text: string, why: string): RelaymintError {
  return new RelaymintError('NAME_INVALID', `"${text.slice(0, 80)}" is not a name: ${why}.`, {
    remedy: 'A name looks like news.web3.',
  });
}

const THIS_MACHINE = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;

/** Whether a host, with or without a port, means this machine wherever it is typed. Another name that leads here may be a trick (DNS rebinding). */
export function isThisMachine(host: string | undefined): boolean {
  return host !== undefined && THIS_MACHINE.test(host);
}
