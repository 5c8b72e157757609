/** Addresses as other IPFS gateways have them: `/ipns/NAME`, which is a name's here; and content without a name: `/ipfs/CID/path` on the gateway's own host names, and `CID.ipfs.localhost`, an origin of its own. */
import type { Request } from 'express';
import { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { isName, nameOfHost, parseName } from '../../core/name.ts';
import { pathBelow } from './place.ts';
import { queryOf } from './tree.ts';

const PREFIX = '/ipfs/';
const NAMES = '/ipns/';

/** A CID in any of its usual texts; undefined when it is none. */
export function parseRoot(text: string): CID | undefined {
  try {
    // The same in capitals.
    return CID.parse(/^B[A-Z2-7]+$/.test(text) ? text.toLowerCase() : text);
  } catch {
    return undefined;
  }
}

/** The root of `/ipfs/CID/path`, and what stands before the path below it. @throws RelaymintError INVALID_ARGUMENT. */
export function rootOfPath(path: string): { readonly root: CID; readonly base: string } {
  const [text = ''] = path.slice(PREFIX.length).split('/');
  const root = parseRoot(text);
  if (root !== undefined) return { root, base: PREFIX + text };
  throw new RelaymintError('INVALID_ARGUMENT', `"${text.slice(0, 80)}" is not a CID.`, {
    remedy: 'An address looks like /ipfs/bafybei.../file.txt.',
  });
}

export function isRootPath({ path }: Request): boolean {
  return path.startsWith(PREFIX);
}

/** The name of `/ipns/NAME/path`, as it is written or as host names have it, and the path below it. undefined: it is none of ours. */
export function nameOfPath(path: string): { readonly name: string; readonly below: string } | undefined {
  const [text = ''] = path.slice(NAMES.length).split('/');
  const name = isName(text) ? parseName(text).name : nameOfHost(`${text}.localhost`);
  return name === undefined ? undefined : { name, below: path.slice(NAMES.length + text.length) || '/' };
}

export function isNamePath({ path }: Request): boolean {
  return path.startsWith(NAMES);
}

/** Where `?uri=ipfs://CID/path` or `?uri=ipns://NAME/path` leads, as browsers call the handler of a protocol; undefined when the request has none. */
export function ofProtocolHandler(request: Request): string | undefined {
  const uri: unknown = request.path === PREFIX || request.path === NAMES ? request.query['uri'] : undefined;
  const [, scheme, rest] = typeof uri === 'string' ? (/^(ip[fn]s):\/\/(.+)$/.exec(uri) ?? []) : [];
  return rest === undefined ? undefined : `/${scheme}/${rest}`;
}

/** The same content at its own origin. `protocol`: of a proxy that stands before this gateway, else http. */
export function ownOriginOf(request: Request, root: CID, base: string): string {
  const protocol = request.headers['x-forwarded-proto'] === 'https' ? 'https' : 'http';
  return `${protocol}://${root.toV1().toString()}.ipfs.${request.headers.host ?? ''}${pathBelow({ base, ownOrigin: false }, request.path)}${queryOf(request)}`;
}
