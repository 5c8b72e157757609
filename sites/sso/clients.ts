/**
 * Sites that sign people in. Those with a name are known by it: their client id is the name, and what they are comes of their manifest, which the
 * ledger vouches for. Others register (OpenID Connect Dynamic Client Registration) or describe themselves (`documents.ts`).
 */
import type { AdapterPayload } from 'oidc-provider';
import { z } from 'zod';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_CLIENT_LETTERS } from '../../core/limits.ts';
import { inlineName, isName, nameOfFullHost, parseName } from '../../core/name.ts';
import { unixSeconds } from '../../core/units.ts';
import type { Directory } from './contract.ts';
import { clientSector, hostSector, nameSector, type Sector } from './subject.ts';

const WEB3 = '.web3';
/** Says to the library whose tenure of the name it is; nothing is fetched from there. */
const TENURE = /^https:\/\/[^/]+\/tenure\/(\d+)\/(\d+)$/;

/** undefined: nobody registers under such an id. */
export function clientName(clientId: string): string | undefined {
  return clientId.endsWith(WEB3) && isName(clientId) && parseName(clientId).name === clientId ? clientId : undefined;
}

const addressesSchema = z.array(z.string().refine((uri) => URL.canParse(uri)));

/** Of the addresses that a client gives, if it gives any. */
export function wrongAddress(redirectUris: unknown): string | undefined {
  const isRead = redirectUris === undefined || addressesSchema.safeParse(redirectUris).success;
  return isRead ? undefined : 'redirect_uris has to be a list of addresses';
}

/** What a client that registers may not ask for: addresses that the issuer would fetch, and to be known as the same at several hosts. */
export function wrongInClient(metadata: AdapterPayload): string | undefined {
  const fetched = ['jwks_uri', 'sector_identifier_uri'].find((field) => metadata[field] !== undefined);
  if (fetched !== undefined) return `${fetched} is not taken: it would have to be fetched`;
  if (JSON.stringify(metadata).length > MAX_CLIENT_LETTERS) return 'it says too much of itself';
  const wrong = wrongAddress(metadata['redirect_uris']);
  if (wrong !== undefined) return wrong;
  const { redirect_uris: redirects = [] } = metadata;
  if (redirects.length === 0) return 'redirect_uris are missing: it does not say where it sends people back to';
  const open = redirects.find((uri) => isReadOnTheWay(new URL(uri)));
  if (open !== undefined) return `${open} is not taken: others read what is sent there; use https`;
  // What a program's own scheme calls its host is nobody's, and would be shown as one.
  const dressed = redirects.find((uri) => !isWeb(new URL(uri)) && new URL(uri).host !== '');
  if (dressed !== undefined) return `${dressed} is not taken: write it without a host, as com.example.app:/back`;
  try {
    registeredSector(redirects);
  } catch (error) {
    if (error instanceof RelaymintError) return `${error.message} ${error.remedy ?? ''}`.trim();
    throw error;
  }
  return undefined;
}

/** What a client may not become that is registered: its visitors would be known to it as another site knows them. */
export function wrongInChange(before: AdapterPayload, after: AdapterPayload): string | undefined {
  const sector = ({ redirect_uris: uris = [] }: AdapterPayload): string => registeredSector(uris) ?? 'its own';
  return sector(before) === sector(after) ? undefined : 'it cannot move to another host: register anew there';
}

/** undefined: it is a program on its visitors' machines, and known by itself. @throws RelaymintError INVALID_ARGUMENT. */
function registeredSector(redirectUris: readonly string[]): Sector | undefined {
  const isSite = redirectUris.some((uri) => isWeb(new URL(uri)) && !isLoopback(new URL(uri).hostname));
  return isSite ? hostSector(redirectUris) : undefined;
}

function isWeb({ protocol }: URL): boolean {
  return protocol === 'https:' || protocol === 'http:';
}

/** http is for what never leaves a machine, and for what Tor and I2P encrypt. */
function isReadOnTheWay({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && !isLoopback(hostname) && !/\.(?:onion|i2p)$/.test(hostname);
}

/** As URLs write host names. */
export function isLoopback(hostname: string): boolean {
  return ['127.0.0.1', '[::1]', 'localhost'].includes(hostname) || hostname.endsWith('.localhost');
}

/** Metadata of a site's client, as if it had registered. */
export async function nameClient(
  directory: Directory,
  name: string,
  signal: AbortSignal,
): Promise<AdapterPayload | undefined> {
  const client = await directory.client(name, signal);
  if (client === undefined || !client.holding.isActive || client.redirects.length === 0) return undefined;
  const origins = originsOf(name);
  const at = (paths: readonly string[]): string[] => origins.flatMap((origin) => paths.map((path) => origin + path));
  return {
    client_id: name,
    client_name: client.title ?? name,
    application_type: 'web',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: at(client.redirects),
    post_logout_redirect_uris: at(client.signedOut),
    subject_type: 'pairwise',
    // A site under one name at several addresses is one site.
    sector_identifier_uri: `https://${name}/tenure/${client.holding.registeredAt}/${client.holding.transfers}`,
  };
}

/** Where a name's pages are on the visitor's own machine. Other programs there can listen too: people consent each time. */
function originsOf(name: string): readonly string[] {
  const full = nameOfFullHost(name) === name ? [`https://${name}`] : [];
  return [`http://${inlineName(name)}.localhost`, ...full];
}

/** True for an address that was registered; on loopback, and on a name's origin on this machine, under any port (RFC 8252, 7.3). */
export function isRegistered(value: string, registered: readonly string[]): boolean {
  if (registered.includes(value)) return true;
  const plain = withoutPort(value);
  return plain !== undefined && registered.some((uri) => withoutPort(uri) === plain);
}

/** undefined: its port counts. */
function withoutPort(uri: string): string | undefined {
  if (!URL.canParse(uri)) return undefined;
  const url = new URL(uri);
  // Written in another way it is another address: nothing is guessed about what a browser makes of it.
  if (
    url.protocol !== 'http:' ||
    !isLoopback(url.hostname) ||
    url.href !== uri ||
    url.username !== '' ||
    url.password !== ''
  )
    return undefined;
  url.port = '';
  return url.href;
}

/** Of a client as the library has it. @throws RelaymintError INVALID_ARGUMENT when it has none. */
export function sectorOf({ clientId, redirectUris = [], sectorIdentifierUri }: SectorClient): Sector {
  const name = clientName(clientId);
  if (name === undefined) return registeredSector(redirectUris) ?? clientSector(clientId);
  const [, registeredAt, transfers] = TENURE.exec(sectorIdentifierUri ?? '') ?? [];
  if (registeredAt === undefined) throw new TypeError('a site by its name has its tenure');
  return nameSector({ name, registeredAt: unixSeconds(BigInt(registeredAt)), transfers: Number(transfers) });
}

export interface SectorClient {
  readonly clientId: string;
  readonly redirectUris?: readonly string[] | undefined;
  readonly sectorIdentifierUri?: string | undefined;
}

/** For people: what they recognise a client by, which is where it sends them. */
export function clientPlace(clientId: string, redirectUri: string): string {
  const url = new URL(redirectUri);
  return clientName(clientId) ?? (isWeb(url) ? url.host : url.protocol);
}

/** A client's page for people, if it stands at the host that they are sent back to: elsewhere it would be somebody else's word. */
export function ownPage(uri: string | undefined, redirectUri: string): string | undefined {
  if (uri === undefined || !URL.canParse(uri)) return undefined;
  const { protocol, host, href } = new URL(uri);
  return protocol === 'https:' && host === new URL(redirectUri).host ? href : undefined;
}
