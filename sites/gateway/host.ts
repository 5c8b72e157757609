/** Which of our origins a request is for. Any page on the web can reach loopback; the Host header says which host it meant to reach. */
import type { IncomingHttpHeaders } from 'node:http';
import type { CID } from 'multiformats/cid';
import { inlineName, isThisMachine, nameOfHost, parseName, siteUrl } from '../../core/name.ts';
import { isRelaymintError } from '../../core/errors.ts';
import { parseRoot } from './root-address.ts';

export type Target =
  | {
      readonly kind: 'own';
      /** As which host name: each is an origin of its own. */
      readonly hostname: string;
    }
  /** `bafy...ipfs.localhost`: content by its address alone. */
  | { readonly kind: 'root'; readonly root: CID }
  | {
      readonly kind: 'site';
      readonly name: string;
      /** Below the domain of a public gateway, where browsers take sites for parts of one (unless the domain is on the Public Suffix List). */
      readonly isPublic: boolean;
      /** At its own address, `https://news.web3`: the connection is for this name alone. */
      readonly isFull?: true;
    }
  /** The domain itself of a public gateway. `host`: with the port, as the visitor has it. */
  | { readonly kind: 'domain'; readonly host: string }
  /** `demo.web3.localhost`: right name, but an origin that would share cookies with its neighbours. */
  | { readonly kind: 'redirect'; readonly origin: string }
  /** Some `*.localhost` that is no site's address. */
  | { readonly kind: 'nowhere' }
  /** A host name that is not ours: a DNS-rebinding attempt or a wrong proxy. */
  | { readonly kind: 'foreign' };

/** What a gateway answers to besides this machine's own names; in lower case. */
export interface GatewayHosts {
  /** Further host names of its own pages. */
  readonly own: ReadonlySet<string>;
  /** Sites have host names below it. Absent: only on this machine. */
  readonly domain?: string | undefined;
  /** Names are at `https://NAME` too, for the browsers of this machine. */
  readonly full?: FullHosts | undefined;
}

export interface FullHosts {
  /** Where the gateway itself listens, and has names below localhost. */
  port: number;
}

/** What proxies add to what they pass on. */
const FORWARDED: readonly string[] = [
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
];
const ROOT_SUFFIX = '.ipfs.localhost';
/** Where other gateways have names: what is before it is as they write it, or as we do. */
const NAME_SUFFIX = '.ipns.localhost';

/** @param full the name that the connection is for, where it is one of full mode */
export function targetOf(headers: IncomingHttpHeaders, { own, domain }: GatewayHosts, full?: string): Target {
  const { host } = headers;
  if (full !== undefined) {
    const isMeant = [full, `${full}:443`].includes(host?.toLowerCase() ?? '');
    return isMeant ? { kind: 'site', name: full, isPublic: false, isFull: true } : { kind: 'foreign' };
  }
  const match = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::(\d{1,5}))?$/i.exec(host ?? '');
  if (match?.[1] === undefined) return { kind: 'foreign' };
  const hostname = match[1].toLowerCase();
  const port = match[2];
  if (domain !== undefined) {
    if (hostname === domain) return { kind: 'domain', host: withPort(domain, port) };
    if (hostname.endsWith(`.${domain}`)) return publicTarget(hostname, domain, port);
    // A proxy passes what strangers wrote: to them, this machine's own names are not there.
    if (isForwarded(headers)) return { kind: 'foreign' };
  }
  if (isThisMachine(hostname) || own.has(hostname)) return { kind: 'own', hostname };
  if (!hostname.endsWith('.localhost')) return { kind: 'foreign' };
  if (hostname.endsWith(ROOT_SUFFIX)) {
    const root = parseRoot(hostname.slice(0, -ROOT_SUFFIX.length));
    return root === undefined ? { kind: 'nowhere' } : { kind: 'root', root };
  }
  const name = nameOfHost(hostname);
  if (name !== undefined) return { kind: 'site', name, isPublic: false };
  const plain = hostname.endsWith(NAME_SUFFIX)
    ? (nameOfHost(hostname, NAME_SUFFIX.slice(1)) ?? plainName(hostname, NAME_SUFFIX.slice(1)))
    : plainName(hostname, 'localhost');
  if (plain === undefined) return { kind: 'nowhere' };
  return { kind: 'redirect', origin: siteUrl(plain, Number(port ?? 80)).slice(0, -1) };
}

function publicTarget(hostname: string, domain: string, port: string | undefined): Target {
  const name = nameOfHost(hostname, domain);
  if (name !== undefined) return { kind: 'site', name, isPublic: true };
  const plain = plainName(hostname, domain);
  return plain === undefined
    ? { kind: 'nowhere' }
    : { kind: 'redirect', origin: publicOrigin(plain, withPort(domain, port)) };
}

/** Where a public gateway shows a name, by the scheme that its visitor came by: only the proxy before it knows which. */
export function publicOrigin(name: string, host: string): string {
  return `//${inlineName(name)}.${host}`;
}

/** The port at which the visitor has the gateway itself, as addresses write it: nothing for that of HTTP. */
export function portOf({ host = '' }: IncomingHttpHeaders, target: Target, { full }: GatewayHosts): string {
  if (target.kind === 'site' && target.isFull === true)
    return full === undefined || full.port === 80 ? '' : String(full.port);
  return /:(\d+)$/.exec(host)?.[1] ?? '';
}

function withPort(hostname: string, port: string | undefined): string {
  return port === undefined ? hostname : `${hostname}:${port}`;
}

/** A proxy passed it on. */
export function isForwarded(headers: IncomingHttpHeaders): boolean {
  return FORWARDED.some((header) => headers[header] !== undefined);
}

/** `demo.web3.localhost`: a name as it is written, below a domain. */
function plainName(hostname: string, domain: string): string | undefined {
  try {
    return parseName(hostname.slice(0, -domain.length - 1)).name;
  } catch (error) {
    if (isRelaymintError(error, 'NAME_INVALID')) return undefined;
    throw error;
  }
}
