/**
 * Clients that are known by an address at which they describe themselves (OAuth Client ID Metadata Document): https, for an issuer that others find.
 * Nobody registers them, and what the document says is as good as the host that serves it: so it may speak of that host alone, and of programs on
 * their visitors' own machines.
 */
import type { AdapterPayload } from 'oidc-provider';
import { isIP } from 'node:net';
import { nameOfFullHost } from '../../core/name.ts';
import { isLoopback, wrongInClient } from './clients.ts';
import { wrongInLogout } from './logouts.ts';

/** What is longer is no address that anybody writes by hand, and is written into every grant. */
const MAX_LETTERS = 256;

/** The host that such a client id names. undefined: it is none that is read. */
export function documentHost(clientId: string): string | undefined {
  if (clientId.length > MAX_LETTERS || !clientId.startsWith('https://') || !URL.canParse(clientId)) return undefined;
  const { href, hostname, pathname, search, hash, username, password } = new URL(clientId);
  // Written in one way, so that one client is one.
  const isPlain = href === clientId && search + hash + username + password === '' && pathname !== '/';
  // Sites by their names are known by them: the ledger vouches for those, and no server.
  const isSomewhere = isIP(hostname.replace(/^\[|\]$/g, '')) === 0 && !isLoopback(hostname) && !isOfName(hostname);
  return isPlain && isSomewhere ? hostname : undefined;
}

function isOfName(hostname: string): boolean {
  return nameOfFullHost(hostname) !== undefined;
}

/** What a document may not say. */
export function wrongInDocument(
  metadata: AdapterPayload & { readonly client_id: string },
  tellsThisMachine: boolean,
): string | undefined {
  const { client_id: clientId, jwks_uri: keys, ...rest } = metadata;
  const host = documentHost(clientId);
  if (host === undefined) return 'it is not at an address that is read here';
  const isOwn = (uri: string): boolean => new URL(uri).protocol === 'https:' && new URL(uri).hostname === host;
  if (keys !== undefined && !isOwn(keys)) return 'its jwks_uri is at another host';
  const { redirect_uris: back = [], post_logout_redirect_uris: gone = [] } = rest;
  const foreign = [...back, ...gone].find((uri) => isElsewhere(new URL(uri)) && !isOwn(uri));
  if (foreign !== undefined) return 'it sends people back to another host';
  return wrongInClient(rest) ?? wrongInLogout(rest, tellsThisMachine);
}

/** Not a program on the visitor's own machine. */
function isElsewhere({ protocol, hostname }: URL): boolean {
  return (protocol === 'https:' || protocol === 'http:') && !isLoopback(hostname);
}
