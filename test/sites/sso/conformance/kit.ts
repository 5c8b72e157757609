/**
 * What the OpenID Foundation's conformance suite does with a provider: its requests, a person who answers whatever the provider asks for, and
 * looks at what comes back. The issuer is a public one, over https, where a session lives; what the suite asks of each module is written anew here.
 */
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet, type JWTVerifyResult } from 'jose';
import * as oidc from 'openid-client';
import { z } from 'zod';
import type { Signer } from '../../../../ledger/receipt/index.ts';
import type { Challenge } from '../../../../sites/siws/index.ts';
import { Browser, answerTo, proxyOf, startIssuer, wallet, type Answer, type Setup, type TestIssuer } from '../kit.ts';

export const BACK = 'https://rp.example.org/back';
export const SIGNED_OUT = 'https://rp.example.org/signed-out';
const ISSUER = new URL('https://id.example.org');
export const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };

export type Params = Readonly<Record<string, string | undefined>>;

/** The provider that is judged. */
export interface Judged extends AsyncDisposable {
  readonly issuer: TestIssuer;
  /** Reaches it at its public address. */
  readonly fetch: typeof fetch;
}

export async function openJudged(setup: Setup = {}): Promise<Judged> {
  const issuer = await startIssuer({ at: ISSUER, ...setup });
  return { issuer, fetch: proxyOf(issuer), [Symbol.asyncDispose]: () => issuer[Symbol.asyncDispose]() };
}

/** A client of the suite, which registers itself; it proves itself in the way that it registers. */
export async function client(
  { issuer, fetch: through }: Judged,
  metadata: Partial<oidc.ClientMetadata> = {},
  auth: oidc.ClientAuth = oidc.ClientSecretBasic(),
): Promise<oidc.Configuration> {
  const its = { redirect_uris: [BACK], post_logout_redirect_uris: [SIGNED_OUT], ...metadata };
  return await oidc.dynamicClientRegistration(issuer.url, its, auth, {
    [oidc.customFetch]: (target, options) => through(target, options as RequestInit),
  });
}

/** A person: a browser and a wallet. */
export interface Person {
  readonly browser: Browser;
  readonly signer: Signer;
  readonly profile?: string;
}

export function person(judged: Judged): Person {
  return { browser: new Browser(undefined, judged.fetch), signer: wallet() };
}

/** One who has everything in a profile that a profile can have. */
export function known(judged: Judged, name: string): Person {
  const somebody = person(judged);
  const { address } = somebody.signer;
  judged.issuer.names.hold(name, address);
  judged.issuer.names.profiles.set(name, {
    displayName: 'Ana',
    avatar: 'ana.image',
    links: ['https://ana.example.org/'],
    payout: address,
    wallets: [],
    updated: judged.issuer.names.holdings.get(name)?.registeredAt ?? fail(),
  });
  return { ...somebody, profile: name };
}

function fail(): never {
  throw new TypeError('nobody has the name');
}

/** A request for authorization as the suite makes it: with state and nonce, without PKCE and without a prompt. `undefined` leaves one out. */
export interface Ask {
  readonly url: URL;
  readonly state: string;
  readonly nonce: string | undefined;
}

export function request(at: oidc.Configuration, params: Params = {}): Ask {
  const [state, random] = [oidc.randomState(), oidc.randomNonce()];
  const all: Params = { redirect_uri: BACK, scope: 'openid', state, nonce: random, ...params };
  const said = Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  const url = oidc.buildAuthorizationUrl(at, said);
  for (const [name, value] of Object.entries(all)) if (value === undefined) url.searchParams.delete(name);
  return { url, state, nonce: all['nonce'] };
}

const pageSchema = z.discriminatedUnion('prompt', [
  z.object({ prompt: z.literal('login'), challenge: z.custom<Challenge>() }),
  z.object({ prompt: z.literal('consent'), scopes: z.array(z.string()) }),
]);
const nextSchema = z.object({ next: z.string() });

/** Where a visit ended, and what the person was asked for on the way. */
export interface Visit {
  readonly back: URL;
  readonly steps: readonly ('login' | 'consent')[];
}

/** As far as it goes: a person signs, and allows what they are asked. */
export async function visit(who: Person, url: URL | string): Promise<Visit> {
  return await goOn(who, await who.browser.follow(url));
}

/** The request comes as a form of the suite's page. */
export async function visitByPost(who: Person, { url }: Ask): Promise<Visit> {
  const answer = await who.browser.send(url.origin + url.pathname, {
    method: 'POST',
    headers: FORM,
    body: url.searchParams.toString(),
  });
  return await goOn(who, await who.browser.follow(answer.location ?? fail()));
}

async function goOn(
  { browser, signer, profile }: Person,
  first: { readonly url: string; readonly answer: Answer | undefined },
): Promise<Visit> {
  const steps: ('login' | 'consent')[] = [];
  let at = first;
  while (at.answer !== undefined) {
    const page = pageSchema.parse(JSON.parse(at.answer.text));
    steps.push(page.prompt);
    const how = profile === undefined ? {} : { profile };
    const done =
      page.prompt === 'login'
        ? await browser.post(`${at.url}/login`, answerTo(page.challenge, signer, how))
        : await browser.post(`${at.url}/consent`, { decision: 'allow' });
    at = await browser.follow(nextSchema.parse(JSON.parse(done.text)).next);
  }
  return { back: new URL(at.url), steps };
}

export type Tokens = Awaited<ReturnType<typeof oidc.authorizationCodeGrant>>;

/** The code for tokens; openid-client looks at state, issuer, nonce, audience and times of what comes. */
export async function redeem(
  at: oidc.Configuration,
  back: URL,
  { state, nonce }: Ask,
  verifier?: string,
): Promise<Tokens> {
  return await oidc.authorizationCodeGrant(at, back, {
    expectedState: state,
    ...(nonce !== undefined && { expectedNonce: nonce }),
    ...(verifier !== undefined && { pkceCodeVerifier: verifier }),
    idTokenExpected: true,
  });
}

export interface SignedIn extends Visit {
  readonly tokens: Tokens;
  readonly claims: oidc.IDToken;
}

/** From the request to the tokens. */
export async function signIn(at: oidc.Configuration, who: Person, params: Params = {}): Promise<SignedIn> {
  const ask = request(at, params);
  const went = await visit(who, ask.url);
  const tokens = await redeem(at, went.back, ask);
  return { ...went, tokens, claims: tokens.claims() ?? fail() };
}

/** What a token endpoint is told of a code, with the client's secret in the header. */
export async function post(
  { issuer, fetch: through }: Judged,
  at: oidc.Configuration,
  params: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }> {
  const { client_id: id, client_secret: secret } = at.clientMetadata();
  const response = await through(new URL('/token', issuer.url), {
    method: 'POST',
    headers: { Authorization: `Basic ${Buffer.from(`${id}:${String(secret)}`).toString('base64')}` },
    body: new URLSearchParams(params),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

export function codeGrant(back: URL): Readonly<Record<string, string>> {
  return { grant_type: 'authorization_code', code: back.searchParams.get('code') ?? '', redirect_uri: BACK };
}

/** At the userinfo endpoint, by whichever way a token can come to it. */
export async function userinfo({ issuer, fetch: through }: Judged, init: RequestInit): Promise<Response> {
  return await through(new URL('/me', issuer.url), init);
}

export async function claimsAt(judged: Judged, token: string): Promise<Readonly<Record<string, unknown>>> {
  const response = await userinfo(judged, { headers: { Authorization: `Bearer ${token}` } });
  return (await response.json()) as Record<string, unknown>;
}

export async function keysOf({ issuer, fetch: through }: Judged): Promise<JSONWebKeySet> {
  return (await (await through(new URL('/jwks', issuer.url))).json()) as JSONWebKeySet;
}

/** By the keys that the provider publishes now. @throws jose's errors. */
export async function verified(judged: Judged, at: oidc.Configuration, token = ''): Promise<JWTVerifyResult> {
  const keys = createLocalJWKSet(await keysOf(judged));
  return await jwtVerify(token, keys, { issuer: judged.issuer.url.origin, audience: at.clientMetadata().client_id });
}

/** What a person sees who is not sent back: a page for people, and no address to go on to. */
export async function errorPage(
  { fetch: through }: Judged,
  url: URL,
): Promise<{ readonly status: number; readonly location: string | undefined; readonly isPage: boolean }> {
  const { status, location, text } = await new Browser({ Accept: 'text/html' }, through).get(url);
  return { status, location, isPage: text.includes('That did not work') };
}
export const REFUSED = { status: 400, location: undefined, isPage: true };

/** A token, or a request, that nobody signed. */
export function unsigned(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part(claims)}.`;
}
