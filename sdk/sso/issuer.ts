/** What an issuer says of itself, and asking it. */
import { abortError, following } from '../../core/abort.ts';
import { RelaymintError, violation } from '../../core/errors.ts';
import { asked, jsonOf, parsed, type Client, type Options } from '../client.ts';

export interface Metadata {
  readonly issuer: string;
  readonly authorization_endpoint: string;
  readonly token_endpoint: string;
  readonly end_session_endpoint: string;
  readonly jwks_uri: string;
}

const ENDPOINTS = ['authorization_endpoint', 'token_endpoint', 'end_session_endpoint', 'jwks_uri'] as const;

export function refused(message: string, remedy: string = 'Sign in again.'): RelaymintError {
  return new RelaymintError('SIGN_IN_REFUSED', message, { remedy });
}

/**
 * The issuer that was given, else the one that the gateway tells.
 * @throws RelaymintError INVALID_ARGUMENT; what the gateway says.
 */
export async function issuerFor(client: Client, given: string | URL | undefined, options: Options): Promise<string> {
  const said = given ?? (await issuerOfGateway(client, options));
  const url = URL.canParse(String(said)) ? new URL(said) : undefined;
  const isSafe =
    url?.protocol === 'https:' ||
    (url?.protocol === 'http:' && /^(localhost|127\.0\.0\.1|\[::1\]|.+\.onion)$/.test(url.hostname));
  if (url !== undefined && isSafe && url.pathname === '/') return url.origin;
  throw new RelaymintError('INVALID_ARGUMENT', `${String(said)} cannot be an issuer.`, {
    remedy: 'Give its address, such as "https://id.example.org": http is for localhost and onion addresses only.',
  });
}

async function issuerOfGateway(client: Client, { signal }: Options): Promise<string> {
  const question = { path: '/.well-known/relaymint/issuer', accept: 'application/json' };
  try {
    const { issuer } = ((await asked(client, { signal }, question, jsonOf)) ?? {}) as { readonly issuer?: unknown };
    return String(issuer);
  } catch (error) {
    if (!(error instanceof RelaymintError) || error.details['status'] !== 404) throw error;
    throw new RelaymintError('INVALID_ARGUMENT', 'This gateway tells no issuer.', {
      remedy: 'Give signIn an issuer, or start the gateway with --issuer.',
      cause: error,
    });
  }
}

/** @throws RelaymintError CONNECTION_LOST, PROTOCOL_VIOLATION, ABORTED. */
export async function metadataOf(client: Client, issuer: string, options: Options): Promise<Metadata> {
  const said = await askIssuer(client, `${issuer}/.well-known/openid-configuration`, options);
  const told = (said ?? {}) as Metadata;
  // Another's endpoints would get what is meant for this one.
  const isIts = (url: unknown): boolean => URL.canParse(String(url)) && new URL(String(url)).origin === issuer;
  if (told.issuer === issuer && ENDPOINTS.every((name) => isIts(told[name]))) return told;
  throw violation(`${issuer} does not say that it is that issuer.`, 'Check the address of the issuer.');
}

/** @throws RelaymintError SIGN_IN_REFUSED: it says why not; CONNECTION_LOST, PROTOCOL_VIOLATION, ABORTED. */
export async function askIssuer(
  client: Client,
  url: string,
  { signal }: Options,
  form?: Readonly<Record<string, string>>,
): Promise<unknown> {
  const until = following(client.signal, signal);
  try {
    const response = await client.fetch(url, {
      headers: { accept: 'application/json' },
      ...(form !== undefined && { method: 'POST', body: new URLSearchParams(form) }),
      credentials: 'omit',
      redirect: 'error',
      cache: 'no-store',
      signal: until.signal,
    });
    const body = await response.text();
    if (response.ok) return parsed(body);
    const { error_description: why } = (parsed(body) ?? {}) as { readonly error_description?: string };
    throw refused(`The issuer refuses: ${why ?? response.status}.`);
  } catch (error) {
    if (until.signal.aborted) throw abortError(until.signal, `Asking ${url}`);
    if (error instanceof RelaymintError) throw error;
    throw new RelaymintError('CONNECTION_LOST', `${url} cannot be read.`, {
      remedy: 'Is the issuer running, and may this page ask it?',
      cause: error,
    });
  } finally {
    until[Symbol.dispose]();
  }
}
