/** Which of our origins a request is for. Any page on the web can reach loopback; the Host header says which host it meant to reach. */
import type { CID } from 'multiformats/cid';
import { nameOfHost, parseName, siteUrl } from '../../core/name.ts';
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
  | { readonly kind: 'site'; readonly name: string }
  /** `demo.web3.localhost`: right name, but an origin that would share cookies with its neighbours. */
  | { readonly kind: 'redirect'; readonly origin: string }
  /** Some `*.localhost` that is no site's address. */
  | { readonly kind: 'nowhere' }
  /** A host name that is not ours: a DNS-rebinding attempt or a wrong proxy. */
  | { readonly kind: 'foreign' };

const ROOT_SUFFIX = '.ipfs.localhost';
const OWN_HOSTS = ['localhost', '127.0.0.1', '[::1]'];

/** `host` is the Host header; `allowed` are further names of this gateway, in lower case. */
export function targetOf(host: string | undefined, allowed: ReadonlySet<string>): Target {
  const match = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::(\d{1,5}))?$/i.exec(host ?? '');
  if (match?.[1] === undefined) return { kind: 'foreign' };
  const hostname = match[1].toLowerCase();
  if (OWN_HOSTS.includes(hostname) || allowed.has(hostname)) return { kind: 'own', hostname };
  if (!hostname.endsWith('.localhost')) return { kind: 'foreign' };
  if (hostname.endsWith(ROOT_SUFFIX)) {
    const root = parseRoot(hostname.slice(0, -ROOT_SUFFIX.length));
    return root === undefined ? { kind: 'nowhere' } : { kind: 'root', root };
  }
  const name = nameOfHost(hostname);
  if (name !== undefined) return { kind: 'site', name };
  try {
    const plain = parseName(hostname.slice(0, -'.localhost'.length)).name;
    return { kind: 'redirect', origin: siteUrl(plain, Number(match[2] ?? 80)).slice(0, -1) };
  } catch (error) {
    if (isRelaymintError(error, 'NAME_INVALID')) return { kind: 'nowhere' };
    throw error;
  }
}
