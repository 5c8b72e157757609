/** Signing in: the whole page goes to the issuer and comes back with a code, which is worth something to this tab alone (PKCE). */
import { RelaymintError } from '../../core/errors.ts';
import type { Client, Options } from '../client.ts';
import { readManifest, type SiteManifest } from '../terms.ts';
import { verifyIdToken } from './id-token.ts';
import { askIssuer, issuerFor, metadataOf, refused } from './issuer.ts';
import { forget, keep, keptSession, recall, type Pending, type Session } from './session.ts';

/** What a site may ask to know, besides that it is the same person as before. */
export type Scope = 'profile' | 'wallet' | 'posts';

export interface SignInOptions extends Options {
  /** Default: nothing more than who it is to this site. */
  readonly scope?: readonly Scope[];
  /** Default: the one that the gateway tells. */
  readonly issuer?: string | URL;
  /** Where on this site the visitor goes on then: `completeSignIn` gives it back. Default: the page that they are at. */
  readonly returnTo?: string;
}

export interface SignOutOptions extends Options {
  /** A path of `signIn.signedOut` in the manifest. Default: the first, if there is one. */
  readonly returnTo?: string;
}

export interface Completed extends Session {
  /** An address of this site. */
  readonly returnTo: string;
}

const RANDOM_BYTES = 32;

/**
 * Goes to the issuer, with the whole page. The visitor comes back to the first path of `signIn.redirects` in the site's manifest, whose page
 * calls `completeSignIn`.
 * @throws RelaymintError INVALID_ARGUMENT, SIGN_IN_REFUSED, CONNECTION_LOST, ABORTED; what the gateway says.
 */
export async function signIn(client: Client, options: SignInOptions = {}): Promise<never> {
  const clientId = nameHere(client);
  const { scope = [] } = options;
  const returnTo = new URL(options.returnTo ?? location.href, location.href);
  if (returnTo.origin !== client.origin) {
    throw new RelaymintError('INVALID_ARGUMENT', `${returnTo.href} is not on this site.`, {
      remedy: 'Give a path of it.',
    });
  }
  const [path] = (await signInOf(client, options))?.redirects ?? [];
  if (path === undefined) {
    throw refused(
      `${clientId} signs nobody in: its manifest has no "signIn".`,
      'Put "signIn": {"redirects": ["/signed-in.html"]} into it, and publish.',
    );
  }
  const metadata = await metadataOf(client, await issuerFor(client, options.issuer, options), options);
  const pending: Pending = {
    issuer: metadata.issuer,
    state: random(),
    nonce: random(),
    verifier: random(),
    redirect: new URL(path, client.origin).href,
    returnTo: returnTo.href,
  };
  keep(client, 'pending', pending);
  const challenge = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(pending.verifier));
  return go(metadata.authorization_endpoint, {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: pending.redirect,
    scope: ['openid', ...scope].join(' '),
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: base64url(new Uint8Array(challenge)),
    code_challenge_method: 'S256',
  });
}

/**
 * In the page to which the issuer sends people back: who it is. What the issuer sent goes out of the page's address.
 * @param url default: the page's
 * @throws RelaymintError SIGN_IN_REFUSED: the visitor did not allow it, it was answered before, or it is not the answer to what this tab asked;
 * CONNECTION_LOST, PROTOCOL_VIOLATION, ABORTED.
 */
export async function completeSignIn(
  client: Client,
  url: string | URL = globalThis.location?.href,
  options: Options = {},
): Promise<Completed> {
  const clientId = nameHere(client);
  const back = new URL(url);
  const told = (name: string): string | undefined => {
    const [value, ...more] = back.searchParams.getAll(name);
    return more.length === 0 ? value : undefined;
  };
  // A page that nobody came to from an issuer keeps its address.
  if (back.href === location.href && back.searchParams.has('state'))
    history.replaceState(history.state, '', back.origin + back.pathname);
  const pending = recall(client, 'pending') as Pending | undefined;
  if (pending === undefined || told('state') !== pending.state || !isRedirect(back, pending.redirect)) {
    throw refused('This tab did not ask for this sign-in, or it was answered before.');
  }
  // Once, whatever comes of it, and before anything is waited for.
  forget(client, 'pending');
  // Mix-up (RFC 9207): a code is for none but who was asked.
  if (told('iss') !== pending.issuer) throw refused('Another issuer answers than was asked.');
  const [code, error] = [told('code'), told('error')];
  if (code === undefined) {
    throw refused(
      error === 'access_denied'
        ? 'The visitor did not allow it.'
        : `The issuer refuses: ${told('error_description') ?? error ?? 'it says no more'}.`,
    );
  }
  const { token_endpoint: tokens, jwks_uri: jwks } = await metadataOf(client, pending.issuer, options);
  const got = ((await askIssuer(client, tokens, options, {
    grant_type: 'authorization_code',
    client_id: clientId,
    code,
    redirect_uri: pending.redirect,
    code_verifier: pending.verifier,
  })) ?? {}) as { readonly id_token?: string; readonly access_token?: string };
  const { issuer, nonce, returnTo } = pending;
  const keys = await askIssuer(client, jwks, options);
  const claims = await verifyIdToken(got.id_token, keys, { issuer, clientId, nonce, now: Date.now() });
  const { sub: subject, exp } = claims;
  const session: Session = {
    subject,
    claims,
    issuer,
    expires: exp * 1000,
    ...(got.access_token !== undefined && { accessToken: got.access_token }),
  };
  keep(client, 'session', { ...session, idToken: String(got.id_token) });
  return { ...session, returnTo };
}

/** Forgets who is signed in here, then goes to the issuer, where the person may sign out too. Does nothing where nobody is signed in. */
export async function signOut(client: Client, options: SignOutOptions = {}): Promise<void> {
  const clientId = nameHere(client);
  const kept = keptSession(client);
  forget(client, 'session');
  if (kept === undefined) return;
  const path = options.returnTo ?? (await signInOf(client, options))?.signedOut[0];
  const { end_session_endpoint: end } = await metadataOf(client, kept.issuer, options);
  await go(end, {
    client_id: clientId,
    id_token_hint: kept.idToken,
    ...(path !== undefined && { post_logout_redirect_uri: new URL(path, client.origin).href }),
  });
}

/** State is kept where the issuer sends people back to: a page at another address of the same site would not find it. */
function nameHere({ name, origin }: Client): string {
  if (name !== undefined && globalThis.location?.origin === origin) return name;
  throw new RelaymintError('INVALID_ARGUMENT', 'This is no page of the site that people sign in to.', {
    remedy: 'Open the site by a gateway, at its name: http://demo-web3.localhost:8402.',
  });
}

async function signInOf(client: Client, { signal }: Options): Promise<SiteManifest['signIn']> {
  return (await readManifest(client, { signal }))?.signIn;
}

function random(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)));
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

/** The page is going: nothing comes after. */
function go(endpoint: string, query: Readonly<Record<string, string>>): Promise<never> {
  const url = new URL(endpoint);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  location.assign(url.href);
  return new Promise(() => {});
}

/** The issuer adds to the parameters that the address has of its own. */
function isRedirect(back: URL, redirect: string): boolean {
  const { origin, pathname, searchParams } = new URL(redirect);
  const hasAll = [...searchParams].every(([name, value]) => back.searchParams.getAll(name).includes(value));
  return back.origin === origin && back.pathname === pathname && hasAll;
}
